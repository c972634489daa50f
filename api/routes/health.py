"""Liveness of the process, and readiness of the service."""

from typing import Any, Literal

from flask import Blueprint

from api.application import application
from api.documentation import SPEC, answers
from api.readiness import readiness
from api.schemas import Schema

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
