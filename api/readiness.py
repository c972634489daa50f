"""Readiness of the service, over HTTP and gRPC alike."""

from api.application import Application
from services.errors import RedisUnavailableError


def readiness(app: Application) -> tuple[list[str], list[str]]:
    """Return the reasons why the service is not ready, and remarks on its chips."""
    try:
        serving = [record for record in app.chips.records() if record.is_serving]
    except RedisUnavailableError as error:
        return [error.message], []
    remarks = [f"chip {record.chip} has drifted" for record in serving if record.state == "drifted"]
    for record in serving:
        if record.drain:
            message = f": {record.drain.message}" if record.drain.message else ""
            remarks.append(f"chip {record.chip} is in maintenance, long work waits{message}")
    return [] if serving else ["no worker holds a chip"], remarks
