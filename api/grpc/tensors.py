"""Infer requests and answers as messages: the same questions and answers as over HTTP."""

from functools import lru_cache
from typing import Any, Final

from google.protobuf.message import DecodeError
from pydantic import ValidationError

from api.crops.questions import Question, check_features, question_of_bytes, question_of_numbers
from api.crops.tensors import origin_of, outputs_of
from api.grpc.messages import ModelInferRequest, ModelInferResponse
from api.inference.schemas import InferBody
from services.crops.requests import Answered
from services.errors import InvalidImagesError, InvalidInputError
from services.explanations import explain

_CONTENTS: Final = {"UINT8": "uint_contents", "FP32": "fp32_contents"}
"""Where the numbers of a tensor are that come one by one, by its type."""
_SHORT_BYTES: Final = 1024
_MOST_ID: Final = 200


def parse(kind: Any, data: bytes) -> Any:
    """Return the message of a kind that was sent as `data`.

    Raises:
        InvalidInputError: it is none.
    """
    try:
        return kind.FromString(data)
    except DecodeError:
        raise InvalidInputError(f"the message is no {kind.DESCRIPTOR.full_name}") from None


def read_question(request: Any, most: int) -> Question:
    """Return the question in a `ModelInferRequest`, from which its bytes and its id are taken out.

    Args:
        request: the message.
        most: crops that a request may have.

    Raises:
        InvalidInputError: it is not an infer request, or asks for what there is not.
        InvalidImagesError: the tensor has another name, type, shape or size than expected.
        TooLargeError: there are more than `most` crops.
    """
    tails = list(request.raw_input_contents)
    request.ClearField("raw_input_contents")
    request.ClearField("id")
    head = request.SerializeToString()
    asked = _parse_short(head) if len(head) <= _SHORT_BYTES else _parse(head)
    if not tails:
        return question_of_numbers(asked, most)
    if len(tails) > 1:
        raise InvalidImagesError(f"{len(tails)} tensors came as bytes for one input; send one")
    return question_of_bytes(asked, tails[0], most)


def id_of(request: Any) -> str:
    """Return the id that a client gave a request.

    Raises:
        InvalidInputError: it is too long.
    """
    given: str = request.id
    if len(given) > _MOST_ID:
        raise InvalidInputError(f"id has {len(given)} characters; send at most {_MOST_ID}")
    return given


def _parse(head: bytes) -> InferBody:
    request = ModelInferRequest.FromString(head)
    members = {
        "inputs": [_input_of(tensor) for tensor in request.inputs],
        "outputs": [
            {"name": output.name, "parameters": _plain(output.parameters)} for output in request.outputs
        ],
        "parameters": _plain(request.parameters),
    }
    try:
        asked = InferBody.model_validate(members)
    except ValidationError as error:
        raise InvalidInputError(explain(error, InferBody)) from None
    check_features(asked)
    return asked


_parse_short = lru_cache(256)(_parse)
"""A cache of the parts of requests beside their tensors, which seldom differ."""


def _input_of(tensor: Any) -> dict[str, Any]:
    described = {
        "name": tensor.name,
        "datatype": tensor.datatype,
        "shape": list(tensor.shape),
        "parameters": _plain(tensor.parameters),
    }
    if tensor.HasField("contents"):
        described["data"] = list(getattr(tensor.contents, _CONTENTS.get(tensor.datatype, "bytes_contents")))
    return described


def _plain(parameters: Any) -> dict[str, Any]:
    """Return parameters as plain values; one without a value means the same as none."""
    chosen = {name: value.WhichOneof("parameter_choice") for name, value in parameters.items()}
    return {name: getattr(parameters[name], choice) for name, choice in chosen.items() if choice}


def write_answer(question: Question, request_id: str, answered: Answered) -> Any:
    """Return the `ModelInferResponse` to a question; its tensors are bytes."""
    name, version, parameters = origin_of(answered, question.warnings)
    response = ModelInferResponse(model_name=name, model_version=version, id=request_id)
    for key, value in parameters.items():
        match value:
            case bool():
                response.parameters[key].bool_param = value
            case str():
                response.parameters[key].string_param = value
            case _:
                response.parameters[key].double_param = value
    for _, output, shape, values in outputs_of(question.body, answered):
        response.outputs.add(name=output.name, datatype=output.datatype, shape=shape)
        response.raw_output_contents.append(values.tobytes())
    return response
