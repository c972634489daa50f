"""Routes of the Open Inference Protocol that speak of the server and its models, and the one that asks them."""

from importlib.metadata import version as installed_version
from typing import Final

import werkzeug
from flask import Blueprint, Response, jsonify, request

from api.application import Application, application
from api.authentication import current_user
from api.documentation import SPEC, inference_answers
from api.images import SIDE
from api.inference.compression import compress, read_body, wanted_encoding
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
from api.inference.tensors import HEADER_LENGTH, INPUT, OUTPUTS, read_question, write_answer
from api.routes.health import readiness
from services.crops.requests import Pending, Request
from services.errors import ExpiredError, InvalidInputError
from services.jobs.submission import bind_key
from services.models.files import LATEST
from services.users.authentication import User

routes = Blueprint("inference", __name__, url_prefix="/v2")

PLATFORM: Final = "hxserve_brainscales2"
_WAIT_S: Final = 60.0
"""How long an answer is waited for when the request sets no timeout."""

_GRACE_S: Final = 1.0
"""The timeout is for the queue; what the chip has begun by then is still waited for."""

_SERVER_READY = inference_answers(200, ServerReadyAnswer)
_SERVER_READY.add_model(503, ServerReadyAnswer, replace=True)
_MODEL_READY = inference_answers(200, ModelReadyAnswer, 404)
_MODEL_READY.add_model(503, ModelReadyAnswer, replace=True)
_INFER = inference_answers(200, InferAnswer, 404, 409, 413, 415, 429, 502)


@routes.get("")
@SPEC.validate(resp=inference_answers(200, ServerMetadata), tags=["inference"])
def show_server() -> Response:
    """Say what this server is, and which extensions of the protocol it knows."""
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
@SPEC.validate(resp=inference_answers(200, ModelMetadata, 404), tags=["inference"])
def show_metadata(name: str) -> Response:
    """Show what a model takes and gives."""
    view = application().registry.look(current_user(), name)
    return _metadata(view.name, view.versions)


@routes.get("/models/<name>/versions/<version>")
@SPEC.validate(resp=inference_answers(200, ModelMetadata, 404), tags=["inference"])
def show_version_metadata(name: str, version: str) -> Response:
    """Show what a version or alias takes and gives."""
    found = application().registry.find(current_user(), name, version)
    return _metadata(found.model, [found.version])


@routes.get("/models/<name>/ready")
@SPEC.validate(resp=_MODEL_READY, tags=["inference"])
def show_model_ready(name: str) -> Response:
    """Say whether a model can be asked."""
    return _model_ready(name, LATEST)


@routes.get("/models/<name>/versions/<version>/ready")
@SPEC.validate(resp=_MODEL_READY, tags=["inference"])
def show_version_ready(name: str, version: str) -> Response:
    """Say whether a version or alias can be asked."""
    return _model_ready(name, version)


@routes.get("/models/<name>/config")
@SPEC.validate(resp=inference_answers(200, ModelConfig, 404), tags=["inference"])
def show_config(name: str) -> Response:
    """Show a model in the form of Triton's model configuration."""
    return _config(name, LATEST)


@routes.get("/models/<name>/versions/<version>/config")
@SPEC.validate(resp=inference_answers(200, ModelConfig, 404), tags=["inference"])
def show_version_config(name: str, version: str) -> Response:
    """Show a version or alias in the form of Triton's model configuration."""
    return _config(name, version)


@routes.post("/models/<name>/infer")
@SPEC.validate(json=InferBody, resp=_INFER, skip_validation=True, tags=["inference"])
def infer(name: str) -> werkzeug.Response:
    """Classify digits with the version that `latest` means.

    The input is `crops`, UINT8 or FP32 0..1, [n, 28, 28] or [n, 784]; the outputs are `digits`, `scores` and
    `confidences`. Tensors are JSON, or bytes after it, with the header `Inference-Header-Content-Length`; the answer's
    are bytes where `binary_data` or `binary_data_output` asks for them.
    """
    return answer_infer(application(), current_user(), name, LATEST, request)


@routes.post("/models/<name>/versions/<version>/infer")
@SPEC.validate(json=InferBody, resp=_INFER, skip_validation=True, tags=["inference"])
def infer_with_version(name: str, version: str) -> werkzeug.Response:
    """Classify digits with a version or alias.

    As with `latest`; tensors have the same forms.
    """
    return answer_infer(application(), current_user(), name, version, request)


def answer_infer(
    app: Application, user: User, name: str, version: str, request: werkzeug.Request
) -> werkzeug.Response:
    """The answer to an infer request.

    Raises:
        HxserveError: the request is not what it should be, or the crops cannot be run in time.
    """
    body = read_body(request)
    question = read_question(body, _header_length(request), app.settings.max_crops_per_request)
    key = request.headers.get("Idempotency-Key")
    asked = question.body.parameters
    timeout_s = asked.timeout / 1e6
    answered = app.classifications.answer(
        Request(
            user=user,
            model=name,
            version=version,
            crops=question.crops,
            wait_s=timeout_s + _GRACE_S if timeout_s else _WAIT_S,
            deadline_s=timeout_s or _WAIT_S,
            repeats=asked.repeats,
            idempotency=bind_key(user, key, f"{name}@{version} x {asked.repeats}".encode() + question.crops),
        )
    )
    if isinstance(answered, Pending):
        # The protocol knows no answer that comes later: nothing of it is to be run.
        app.submissions.cancel(answered.job_id, user)
        raise ExpiredError(
            "the crops were not run in time, and are not run any more; try again a little later"
        )
    return _answer(request, *write_answer(question.body, answered.answers, answered.total_s))


def _answer(request: werkzeug.Request, body: bytes, header_length: int | None) -> werkzeug.Response:
    headers = {}
    if header_length is not None:
        headers[HEADER_LENGTH] = str(header_length)
    encoding = wanted_encoding(request, len(body))
    if encoding:
        body = compress(body, encoding)
        headers["Content-Encoding"] = encoding
    kind = "application/json" if header_length is None else "application/octet-stream"
    return werkzeug.Response(body, headers=headers, content_type=kind)


def _header_length(request: werkzeug.Request) -> int | None:
    text = request.headers.get(HEADER_LENGTH)
    if text is None:
        return None
    if not (text.isascii() and text.isdigit()) or len(text) > 12:
        raise InvalidInputError(f"{HEADER_LENGTH} is {text!r}; send the number of bytes of the JSON")
    return int(text)


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


def _config(name: str, version: str) -> Response:
    app = application()
    found = app.registry.find(current_user(), name, version)
    return jsonify(
        {
            "name": found.model,
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


def _model_ready(name: str, version: str) -> Response:
    app = application()
    found = app.registry.find(current_user(), name, version)
    return _ready({"name": found.model}, app)


def _ready(said: dict[str, str], app: Application) -> Response:
    lacks, _ = readiness(app)
    response = jsonify({**said, "ready": not lacks})
    response.status_code = 503 if lacks else 200
    return response
