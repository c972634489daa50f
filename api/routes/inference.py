"""Routes of the Open Inference Protocol that speak of the server and its models, and the one that asks them."""

import werkzeug
from flask import Blueprint, Response, current_app, jsonify, request

from api.application import Application, application
from api.authentication import current_user
from api.crops.endpoint import Endpoint
from api.documentation import SPEC, inference_answers
from api.inference.description import config, metadata, server
from api.inference.schemas import (
    InferAnswer,
    InferBody,
    LiveAnswer,
    ModelConfig,
    ModelMetadata,
    ModelReadyAnswer,
    ServerMetadata,
    ServerReadyAnswer,
)
from api.readiness import readiness
from services.models.files import LATEST

routes = Blueprint("inference", __name__, url_prefix="/v2")

_SERVER_READY = inference_answers(200, ServerReadyAnswer)
_SERVER_READY.add_model(503, ServerReadyAnswer, replace=True)
_MODEL_READY = inference_answers(200, ModelReadyAnswer, 404)
_MODEL_READY.add_model(503, ModelReadyAnswer, replace=True)
_INFER = inference_answers(200, InferAnswer, 404, 409, 413, 415, 429, 502)


@routes.get("")
@SPEC.validate(resp=inference_answers(200, ServerMetadata), tags=["inference"])
def show_server() -> Response:
    """Show the server, its version, and the extensions of the protocol that it supports."""
    return jsonify(server())


@routes.get("/health/live")
@SPEC.validate(resp=inference_answers(200, LiveAnswer), security={}, tags=["inference"])
def show_live() -> Response:
    """Say that this process answers."""
    return jsonify({"live": True})


@routes.get("/health/ready")
@SPEC.validate(resp=_SERVER_READY, security={}, tags=["inference"])
def show_ready() -> Response:
    """Say whether a chip serves."""
    return _ready({}, application())


@routes.get("/models/<name>")
@routes.get("/models/<name>/versions/<version>")
@SPEC.validate(resp=inference_answers(200, ModelMetadata, 404), tags=["inference"])
def show_metadata(name: str, version: str | None = None) -> Response:
    """Show what a model, or a version or alias of it, takes and gives."""
    return jsonify(metadata(application(), current_user(), name, version))


@routes.get("/models/<name>/ready")
@routes.get("/models/<name>/versions/<version>/ready")
@SPEC.validate(resp=_MODEL_READY, tags=["inference"])
def show_model_ready(name: str, version: str = LATEST) -> Response:
    """Say whether a model, or a version or alias of it, can be asked."""
    app, user = application(), current_user()
    found = app.registry.find(user, name, version)
    return _ready({"name": app.registry.name_for(user, found.model)}, app)


@routes.get("/models/<name>/config")
@routes.get("/models/<name>/versions/<version>/config")
@SPEC.validate(resp=inference_answers(200, ModelConfig, 404), tags=["inference"])
def show_config(name: str, version: str = LATEST) -> Response:
    """Show a model, or a version or alias of it, in the form of Triton's model configuration."""
    return jsonify(config(application(), current_user(), name, version))


@routes.post("/models/<name>/infer")
@routes.post("/models/<name>/versions/<version>/infer")
@SPEC.validate(json=InferBody, resp=_INFER, skip_validation=True, tags=["inference"])
def infer(name: str, version: str = LATEST) -> werkzeug.Response:
    """Classify digits with a version or alias, or with the version that `latest` means.

    The input is `crops`, UINT8 or FP32 0..1, [n, 28, 28] or [n, 784]; the outputs are `digits`, `scores` and
    `confidences`. Tensors are JSON, or bytes after it, with the header `Inference-Header-Content-Length`; the answer's
    are bytes where `binary_data` or `binary_data_output` asks for them.
    """
    del name, version
    endpoint: Endpoint = current_app.extensions["crops"]
    return endpoint.answer_in_flask(request.environ, current_user())


def _ready(said: dict[str, str], app: Application) -> Response:
    lacks, _ = readiness(app)
    response = jsonify({**said, "ready": not lacks})
    response.status_code = 503 if lacks else 200
    return response
