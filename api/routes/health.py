"""Liveness of the process, and readiness of the service."""

from typing import Any, Literal

from flask import Blueprint

from api.application import Application, application
from api.documentation import SPEC, answers
from api.schemas import Schema
from services.errors import RedisUnavailableError

routes = Blueprint("health", __name__)


class HealthAnswer(Schema):
    """The state of the process or the service, with the reasons why it is not ready, and remarks."""

    status: Literal["ok", "not ready"]
    reasons: list[str]


_READY = answers(200, HealthAnswer)
_READY.add_model(503, HealthAnswer, replace=True)


@routes.get("/healthz")
@SPEC.validate(resp=answers(200, HealthAnswer), security={}, tags=["health"])
def live() -> HealthAnswer:
    """Say that this process answers."""
    return HealthAnswer(status="ok", reasons=[])


@routes.get("/readyz")
@SPEC.validate(resp=_READY, security={}, tags=["health"])
def ready() -> Any:
    """Say whether Redis answers and a worker with a tested chip holds a lease.

    Chips that have drifted or are in maintenance still serve, and are named.
    """
    lacks, remarks = readiness(application())
    status: Literal["ok", "not ready"] = "not ready" if lacks else "ok"
    return HealthAnswer(status=status, reasons=[*lacks, *remarks]), 503 if lacks else 200


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
