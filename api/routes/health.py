"""Whether the process lives, and whether the service is ready."""

from flask import Blueprint, Response, jsonify

from api.application import Application, application
from api.documentation import SPEC, answers
from api.schemas import HealthAnswer
from services.chips.store import Drain
from services.errors import RedisUnavailableError

routes = Blueprint("health", __name__)

_READY = answers(200, HealthAnswer)
_READY.add_model(503, HealthAnswer, replace=True)


@routes.get("/healthz")
@SPEC.validate(resp=answers(200, HealthAnswer), security={}, tags=["health"])
def live() -> Response:
    """Say that this process answers."""
    return jsonify({"status": "ok", "reasons": []})


@routes.get("/readyz")
@SPEC.validate(resp=_READY, security={}, tags=["health"])
def ready() -> Response:
    """Say whether Redis answers and a worker with a tested chip holds a lease.

    Chips that have drifted or are in maintenance serve, and are named.
    """
    lacks, remarks = readiness(application())
    response = jsonify({"status": "not ready" if lacks else "ok", "reasons": [*lacks, *remarks]})
    response.status_code = 503 if lacks else 200
    return response


def readiness(app: Application) -> tuple[list[str], list[str]]:
    """What the service lacks to be ready, and what else is to be said of its chips."""
    try:
        serving = [record for record in app.chips.records() if record.is_serving]
        lacks = [] if serving else ["no worker holds a chip"]
        remarks = [f"chip {record.chip} has drifted" for record in serving if record.state == "drifted"]
        remarks += [_maintenance(record.chip, record.drain) for record in serving if record.drain]
    except RedisUnavailableError as error:
        lacks, remarks = [error.message], []
    return lacks, remarks


def _maintenance(chip: str, drain: Drain) -> str:
    said = f": {drain.message}" if drain.message else ""
    return f"chip {chip} is in maintenance, long work waits{said}"
