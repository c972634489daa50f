"""Routes of the Open Inference Protocol that speak of the server and its models, and the one that asks them."""

from importlib.metadata import version as installed_version
from typing import Final

import werkzeug
from flask import Blueprint, Response, current_app, jsonify, request

from api.application import Application, application
from api.authentication import current_user
from api.crops.endpoint import Endpoint
from api.crops.tensors import INPUT, OUTPUTS
from api.documentation import SPEC, inference_answers
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
from api.routes.health import readiness
from hxserve_pictures.crops import SIDE
from services.models.files import LATEST

routes = Blueprint("inference", __name__, url_prefix="/v2")

PLATFORM: Final = "hxserve_brainscales2"
_SERVER_READY = inference_answers(200, ServerReadyAnswer)
_SERVER_READY.add_model(503, ServerReadyAnswer, replace=True)
_MODEL_READY = inference_answers(200, ModelReadyAnswer, 404)
_MODEL_READY.add_model(503, ModelReadyAnswer, replace=True)
_INFER = inference_answers(200, InferAnswer, 404, 409, 413, 415, 429, 502)


@routes.get("")
@SPEC.validate(resp=inference_answers(200, ServerMetadata), tags=["inference"])
def show_server() -> Response:
    """Show the server, its version, and the extensions of the protocol that it supports."""
    return jsonify(
        {
            "name": "hxserve",
            "version": installed_version("hxserve-server"),
            "extensions": [
                "binary_tensor_data",
                "model_configuration",
                "model_repository",
                "schedule_policy",
                "statistics",
            ],
        }
    )


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
    registry, user = application().registry, current_user()
    if version is None:
        view = registry.look(user, name)
        return _metadata(registry.name_for(user, view.name), view.versions)
    found = registry.find(user, name, version)
    return _metadata(registry.name_for(user, found.model), [found.version])


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
    app, user = application(), current_user()
    found = app.registry.find(user, name, version)
    return jsonify(
        {
            "name": app.registry.name_for(user, found.model),
            "platform": PLATFORM,
            "backend": "hxserve",
            "max_batch_size": app.settings.max_crops_per_request,
            "input": [{"name": INPUT, "data_type": "TYPE_UINT8", "dims": [SIDE, SIDE]}],
            "output": [
                {"name": output.name, "data_type": f"TYPE_{output.datatype}", "dims": list(output.shape)}
                for output in OUTPUTS
            ],
        }
    )


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


def _metadata(name: str, versions: list[str]) -> Response:
    return jsonify(
        {
            "name": name,
            "versions": versions,
            "platform": PLATFORM,
            "inputs": [{"name": INPUT, "datatype": "UINT8", "shape": [-1, SIDE, SIDE]}],
            "outputs": [
                {"name": output.name, "datatype": output.datatype, "shape": [-1, *output.shape]}
                for output in OUTPUTS
            ],
        }
    )


def _ready(said: dict[str, str], app: Application) -> Response:
    lacks, _ = readiness(app)
    response = jsonify({**said, "ready": not lacks})
    response.status_code = 503 if lacks else 200
    return response
