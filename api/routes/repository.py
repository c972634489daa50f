"""Extensions of the Open Inference Protocol: the list of models, and statistics of requests."""

from flask import Blueprint, Response, jsonify, request
from pydantic import ValidationError

from api.application import application
from api.authentication import current_user
from api.documentation import SPEC, inference_answers
from api.inference.description import index
from api.inference.schemas import IndexBody, RepositoryIndex, StatisticsAnswer
from api.inference.statistics import statistics
from services.errors import InvalidInputError
from services.explanations import explain

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
    return jsonify(index(application(), current_user(), ready_only=ready_only))


@routes.get("/models/stats")
@routes.get("/models/<name>/stats")
@routes.get("/models/<name>/versions/<version>/stats")
@SPEC.validate(resp=inference_answers(200, StatisticsAnswer, 404), tags=["inference"])
def show_statistics(name: str | None = None, version: str | None = None) -> Response:
    """Show statistics of requests since this process started: of all models, a model, or a version or alias."""
    return jsonify(statistics(application(), current_user(), name, version))
