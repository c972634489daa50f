"""Infer requests of the Open Inference Protocol: tensors as JSON or as bytes become crops."""

from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray
from pydantic import ValidationError

from api.crops.doubts import quick_warnings, warnings_of
from api.crops.payloads import bytes_of_unit, too_many
from api.crops.tensors import INPUT, KNOWN
from api.inference.schemas import InferBody, InputTensor, RequestedOutput
from hxserve_pictures.crops import SIDE
from services.crops.answers import CROP_BYTES
from services.errors import InvalidImagesError, InvalidInputError
from services.explanations import explain

HEADER_LENGTH: Final = "Inference-Header-Content-Length"
"""The header with the length of the JSON at the beginning of a body, bytes; tensors follow."""

_EXPECTED: Final = (
    f"{INPUT!r} of UINT8 (0..255) or FP32 (0..1), shape [n, {SIDE}, {SIDE}] or [n, {CROP_BYTES}]"
)
_SHORT_BYTES: Final = 1024
_ITEM_BYTES: Final = {"UINT8": 1, "FP32": 4}


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
        return question_of_bytes(InferBody(inputs=[tensor]), body, most)
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
        return question_of_numbers(asked, most)
    return question_of_bytes(asked, body[header_length:] if header_length else b"", most)


def question_of_bytes(asked: InferBody, tail: bytes, most: int) -> Question:
    """Return a checked request whose tensor came as bytes.

    Raises:
        InvalidImagesError: the tensor has another type, shape or size than expected.
        TooLargeError: there are more than `most` crops.
    """
    crops = _from_bytes(asked.inputs[0], tail, most)
    return Question(asked, crops, quick_warnings(crops))


def question_of_numbers(asked: InferBody, most: int) -> Question:
    """Return a checked request whose tensor came as numbers.

    Raises:
        InvalidImagesError: the tensor has another type, shape or size than expected.
        TooLargeError: there are more than `most` crops.
    """
    crops = _from_numbers(asked.inputs[0], most)
    return Question(asked, crops, warnings_of(crops))


def _parse(text: bytes) -> InferBody:
    asked = InferBody.model_validate_json(text)
    check_features(asked)
    return asked


_parse_short = lru_cache(256)(_parse)
"""A cache of parsed JSON before binary tensors, which seldom differs between requests."""


def _explain(error: ValidationError, body: bytes, header_length: int | None) -> str:
    if error.errors(include_url=False)[0]["type"] != "json_invalid":
        return explain(error, InferBody)
    if header_length is None and b"binary_data_size" in body:
        return f"the body is not JSON; with tensors as bytes after it, say its length with {HEADER_LENGTH}"
    return f"the request is not JSON ({error.errors(include_url=False)[0]['msg']})"


def check_features(asked: InferBody) -> None:
    """Do nothing for a request that asks for no feature that is not offered.

    Raises:
        InvalidImagesError: its input is another one than `crops`.
        InvalidInputError: it asks for what there is not.
    """
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
        if output.name not in KNOWN:
            raise InvalidInputError(f"there is no output {output.name!r}; there are: {', '.join(KNOWN)}")
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
