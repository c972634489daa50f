"""Extensions of the Open Inference Protocol: the list of models, and statistics of requests."""

from typing import Any

from flask import Blueprint, Response, jsonify, request
from pydantic import ValidationError

from api.application import Application, application
from api.authentication import current_user
from api.documentation import SPEC, inference_answers
from api.inference.schemas import IndexBody, RepositoryIndex, StatisticsAnswer
from services.crops.statistics import Duration
from services.errors import CheckpointDamagedError, InvalidInputError, ModelNotFoundError
from services.explanations import explain
from services.models.registry import Reference

routes = Blueprint("repository", __name__, url_prefix="/v2")


@routes.post("/repository/index")
@SPEC.validate(resp=inference_answers(200, RepositoryIndex), tags=["inference"])
def show_index() -> Response:
    """List all versions of all models; with the body `{"ready": true}` only those that are ready."""
    body = request.get_data(cache=False)
    try:
        ready_only = bool(body) and IndexBody.model_validate_json(body).ready
    except ValidationError as error:
        raise InvalidInputError(explain(error, IndexBody)) from None
    app = application()
    listed = [_indexed(app, reference) for reference in _visible(app)]
    return jsonify([entry for entry in listed if not ready_only or entry["state"] == "READY"])


@routes.get("/models/stats")
@routes.get("/models/<name>/stats")
@routes.get("/models/<name>/versions/<version>/stats")
@SPEC.validate(resp=inference_answers(200, StatisticsAnswer, 404), tags=["inference"])
def show_statistics(name: str | None = None, version: str | None = None) -> Response:
    """Show statistics of requests since this process started: of all models, a model, or a version or alias."""
    app, user = application(), current_user()
    if name is None:
        versions = _visible(app)
    elif version is None:
        view = app.registry.look(user, name)
        versions = [Reference(view.name, number) for number in view.versions]
    else:
        versions = [app.registry.find(user, name, version)]
    return jsonify({"model_stats": [_of_version(app, reference) for reference in versions]})


def _visible(app: Application) -> list[Reference]:
    """Return all versions that the user may see."""
    views = app.registry.views(current_user())
    return [Reference(view.name, version) for view in views for version in view.versions]


def _indexed(app: Application, reference: Reference) -> dict[str, str]:
    state, reason = "READY", ""
    try:
        app.models.manifest(reference.model, reference.version)
    except (CheckpointDamagedError, ModelNotFoundError) as error:
        state, reason = "UNAVAILABLE", error.message
    name = app.registry.name_for(current_user(), reference.model)
    return {"name": name, "version": reference.version, "state": state, "reason": reason}


def _of_version(app: Application, reference: Reference) -> dict[str, Any]:
    counted = app.statistics.of(reference.model, reference.version)
    nothing = _duration(Duration())
    return {
        "name": app.registry.name_for(current_user(), reference.model),
        "version": reference.version,
        "last_inference": round(counted.last_at * 1000),
        "inference_count": counted.crops,
        "execution_count": round(counted.calls),
        "inference_stats": {
            "success": _duration(counted.succeeded),
            "fail": _duration(counted.failed),
            "queue": _duration(counted.waited),
            **_compute(counted.computed),
            "cache_hit": nothing,
            "cache_miss": nothing,
        },
        "batch_stats": [
            {"batch_size": size, **_compute(calls)} for size, calls in sorted(counted.batches.items())
        ],
    }


def _compute(duration: Duration) -> dict[str, dict[str, int]]:
    """Return the time on the chip in the protocol's form; input and output are not measured separately."""
    computed = _duration(duration)
    nothing = computed | {"ns": 0}
    return {"compute_input": nothing, "compute_infer": computed, "compute_output": nothing}


def _duration(duration: Duration) -> dict[str, int]:
    return {"count": round(duration.count), "ns": round(duration.seconds * 1e9)}
