"""Whether the process lives, and whether the service is ready."""

from flask import Blueprint, Response, jsonify

from api.application import application
from api.documentation import SPEC, answers
from api.schemas import HealthAnswer
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
    """Say whether Redis answers and a worker with a tested chip holds a lease."""
    try:
        served = any(record.state == "ready" for record in application().chips.records())
        reasons = [] if served else ["no worker holds a chip"]
    except RedisUnavailableError as error:
        reasons = [error.message]
    response = jsonify({"status": "not ready" if reasons else "ok", "reasons": reasons})
    response.status_code = 503 if reasons else 200
    return response
