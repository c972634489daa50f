"""Tensors of the Open Inference Protocol, as JSON and as bytes."""

from array import array
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Final

import numpy as np
import orjson
from numpy.typing import NDArray
from pydantic import ValidationError

from api.crops.doubts import quick_warnings, warnings_of
from api.crops.payloads import bytes_of_unit, too_many
from api.inference.schemas import InferBody, InputTensor, RequestedOutput
from hxserve_pictures.crops import SIDE
from services.crops.answers import CROP_BYTES, Answer, read_origin
from services.crops.requests import Answered
from services.errors import InvalidImagesError, InvalidInputError
from services.explanations import explain

HEADER_LENGTH: Final = "Inference-Header-Content-Length"
"""The header with the length of the JSON at the beginning of a body, bytes; tensors follow."""

INPUT: Final = "crops"
SCORES: Final = 10
_EXPECTED: Final = (
    f"{INPUT!r} of UINT8 (0..255) or FP32 (0..1), shape [n, {SIDE}, {SIDE}] or [n, {CROP_BYTES}]"
)
_SHORT_BYTES: Final = 1024
_ITEM_BYTES: Final = {"UINT8": 1, "FP32": 4}


@dataclass(frozen=True, slots=True)
class Output:
    """An output tensor of the model; `shape` is that of one crop."""

    name: str
    datatype: str
    shape: tuple[int, ...] = ()


OUTPUTS: Final = (
    Output("digits", "INT64"),
    Output("scores", "INT8", (SCORES,)),
    Output("confidences", "FP32"),
)
"""The digit of a crop, the chip's ten raw scores (LSB), and the confidence of the network, 0..1."""

_KNOWN: Final = {output.name: output for output in OUTPUTS}
_ALL_OUTPUTS: Final = tuple(RequestedOutput(name=output.name) for output in OUTPUTS)


@dataclass(frozen=True, slots=True)
class Question:
    """An infer request: its JSON, its crops, (n, 784) bytes, and warnings about them."""

    body: InferBody
    crops: bytes
    warnings: tuple[str, ...] = ()


def read_question(body: bytes, header_length: int | None, most: int) -> Question:
    """Return the infer request in a body.

    Args:
        body: JSON, and after it the bytes of tensors, if any.
        header_length: how much of it is JSON; None when all is. With 0 the body is one UINT8 tensor and no JSON.
        most: crops that a request may have.

    Raises:
        InvalidInputError: the JSON is not an infer request, or asks for what there is not.
        InvalidImagesError: the tensor has another name, type, shape or size than expected.
        TooLargeError: there are more than `most` crops.
    """
    if header_length == 0:
        count, rest = divmod(len(body), CROP_BYTES)
        tensor = InputTensor(name=INPUT, datatype="UINT8", shape=[count + bool(rest), CROP_BYTES])
        return _question(InferBody(inputs=[tensor]), _from_bytes(tensor, body, most))
    if header_length is not None and header_length > len(body):
        raise InvalidInputError(
            f"{HEADER_LENGTH} says {header_length} bytes, but the whole body has {len(body)}; "
            "send the length of the JSON"
        )
    is_short = header_length is not None and header_length <= _SHORT_BYTES
    try:
        asked = _parse_short(body[:header_length]) if is_short else _parse(body[:header_length])
    except ValidationError as error:
        raise InvalidInputError(_explain(error, body, header_length)) from None
    [tensor] = asked.inputs
    if tensor.parameters.binary_data_size is None:
        if header_length is not None and header_length < len(body):
            raise InvalidInputError(
                f"{len(body) - header_length} bytes follow the JSON, which no tensor claims with binary_data_size"
            )
        crops = _from_numbers(tensor, most)
        return Question(asked, crops, warnings_of(crops))
    return _question(asked, _from_bytes(tensor, body[header_length:] if header_length else b"", most))


def _question(body: InferBody, crops: bytes) -> Question:
    return Question(body, crops, quick_warnings(crops))


def _parse(text: bytes) -> InferBody:
    asked = InferBody.model_validate_json(text)
    _check(asked)
    return asked


_parse_short = lru_cache(256)(_parse)
"""A cache of parsed JSON before binary tensors, which seldom differs between requests."""


def _explain(error: ValidationError, body: bytes, header_length: int | None) -> str:
    if error.errors(include_url=False)[0]["type"] != "json_invalid":
        return explain(error, InferBody)
    if header_length is None and b"binary_data_size" in body:
        return f"the body is not JSON; with tensors as bytes after it, say its length with {HEADER_LENGTH}"
    return f"the request is not JSON ({error.errors(include_url=False)[0]['msg']})"


def _check(asked: InferBody) -> None:
    """Refuse requests for features that are not offered."""
    names = [tensor.name for tensor in asked.inputs]
    if names != [INPUT]:
        raise InvalidImagesError(f"the inputs are {names}; send exactly one, {_EXPECTED}")
    if asked.parameters.sequence_id not in {0, ""}:
        raise InvalidInputError("models here have no state; leave out sequence_id")
    parts: tuple[InputTensor | RequestedOutput, ...] = (*asked.inputs, *asked.outputs)
    for part in parts:
        if part.parameters.shared_memory_region is not None:
            raise InvalidInputError(
                f"{part.name!r} refers to shared memory, which is not there; send its data"
            )
    for output in asked.outputs:
        if output.name not in _KNOWN:
            raise InvalidInputError(f"there is no output {output.name!r}; there are: {', '.join(_KNOWN)}")
        if output.parameters.classification:
            raise InvalidInputError(
                "the classification extension is not offered; 'digits' is the best class and 'scores' are all"
            )


def _count(tensor: InputTensor, most: int) -> int:
    """Return the number of crops in a tensor, after checking its type and shape."""
    if tensor.datatype not in _ITEM_BYTES:
        raise InvalidImagesError(f"{tensor.name!r} is of type {tensor.datatype!r}; send {_EXPECTED}")
    if len(tensor.shape) < 2 or tensor.shape[1:] not in ([SIDE, SIDE], [CROP_BYTES]) or not tensor.shape[0]:
        raise InvalidImagesError(f"{tensor.name!r} has shape {tensor.shape}; send {_EXPECTED}, n at least 1")
    if tensor.shape[0] > most:
        raise too_many(tensor.shape[0], most)
    return tensor.shape[0]


def _from_bytes(tensor: InputTensor, tail: bytes, most: int) -> bytes:
    expected = _count(tensor, most) * CROP_BYTES * _ITEM_BYTES[tensor.datatype]
    said = tensor.parameters.binary_data_size
    if said is not None and said != expected:
        raise InvalidImagesError(
            f"{tensor.name!r} has binary_data_size {said}; its type and shape make {expected} bytes"
        )
    if len(tail) != expected:
        raise InvalidImagesError(f"{len(tail)} bytes came for {tensor.name!r}; expected {expected}")
    if tensor.data is not None:
        raise InvalidImagesError(f"{tensor.name!r} has both data and binary_data_size; send one of them")
    if tensor.datatype == "UINT8":
        return tail
    return bytes_of_unit(np.frombuffer(tail, "<f4"), repr(tensor.name))


def _from_numbers(tensor: InputTensor, most: int) -> bytes:
    expected = _count(tensor, most) * CROP_BYTES
    if tensor.data is None:
        raise InvalidImagesError(
            f"{tensor.name!r} has no data; send numbers in data, or binary_data_size bytes"
        )
    values = _numbers(tensor.data)
    if values is None:
        raise InvalidImagesError(f"the data of {tensor.name!r} are not all numbers, or are nested unevenly")
    if values.size != expected or (values.ndim > 1 and list(values.shape) != tensor.shape):
        raise InvalidImagesError(
            f"the data of {tensor.name!r} have shape {list(values.shape)}; expected {tensor.shape}, "
            f"or {expected} numbers in a row"
        )
    if tensor.datatype == "FP32":
        return bytes_of_unit(values.astype(np.float64), repr(tensor.name))
    is_outside = (values < 0) | (values > 255) | (values != np.trunc(values))
    if is_outside.any():
        raise InvalidImagesError(
            f"{tensor.name!r} holds {values[is_outside][0]!s}; expected whole numbers from 0 to 255"
        )
    return values.astype(np.uint8).tobytes()


def _numbers(data: list[Any]) -> NDArray[Any] | None:
    try:
        values = np.array(data)
    except (ValueError, OverflowError):
        return None
    return values if values.dtype.kind in "iuf" and values.size else None


def write_answer(
    asked: InferBody, answered: Answered, warnings: tuple[str, ...] = ()
) -> tuple[bytes, int | None]:
    """Return the body of the answer, and the length of its JSON if tensors follow.

    Args:
        asked: the request.
        answered: its answers.
        warnings: about its crops.
    """
    answers = answered.answers
    origin = read_origin(answered.id, answers, answered.total_s)
    count = sum(answer.count for answer in answers)
    outputs: list[dict[str, Any]] = []
    tails: list[bytes] = []
    for wanted in asked.outputs or _ALL_OUTPUTS:
        known, values = _KNOWN[wanted.name], _values(wanted.name, answers)
        tensor = {"name": known.name, "datatype": known.datatype, "shape": [count, *known.shape]}
        is_binary = wanted.parameters.binary_data
        if is_binary if is_binary is not None else asked.parameters.binary_data_output:
            tails.append(values.tobytes())
            outputs.append(tensor | {"parameters": {"binary_data_size": len(tails[-1])}})
        else:
            outputs.append(tensor | {"data": values.tolist()})
    head = {
        "model_name": origin["model"],
        "model_version": origin["version"],
        **({"id": asked.id} if asked.id else {}),
        "parameters": _flat(origin) | ({"warnings": "; ".join(warnings)} if warnings else {}),
        "outputs": outputs,
    }
    written = orjson.dumps(head)
    return b"".join((written, *tails)), len(written) if tails else None


def _values(name: str, answers: list[Answer]) -> "array[int] | memoryview[int] | memoryview[float]":
    match name:
        case "digits":
            return array("q", list(b"".join(answer.digits for answer in answers)))
        case "scores":
            return memoryview(b"".join(answer.scores for answer in answers)).cast("b")
        case _:
            return memoryview(b"".join(answer.confidences for answer in answers)).cast("f")


def _flat(origin: dict[str, Any]) -> dict[str, str | float | bool]:
    """Return the origin of an answer as parameters of the protocol: plain values only."""
    calibration = origin["calibration"] or {}
    return {
        "answer": origin["id"],
        "chip": origin["chip"],
        "backend": origin["backend"],
        "transferred": origin["transferred"],
        **({"calibration_sha256": calibration["sha256"]} if calibration.get("sha256") else {}),
        **origin["timing"],
    }
