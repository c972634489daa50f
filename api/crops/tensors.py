"""Tensors of the Open Inference Protocol: the model's input and outputs, and answers as JSON and bytes."""

from array import array
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final, TypeAlias

import orjson

from api.inference.schemas import InferBody, RequestedOutput
from services.crops.answers import Answer, read_origin
from services.crops.requests import Answered

INPUT: Final = "crops"
SCORES: Final = 10
Values: TypeAlias = "array[int] | memoryview[int] | memoryview[float]"


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

KNOWN: Final = {output.name: output for output in OUTPUTS}
_ALL_OUTPUTS: Final = tuple(RequestedOutput(name=output.name) for output in OUTPUTS)


def write_answer(
    asked: InferBody, answered: Answered, warnings: tuple[str, ...] = ()
) -> tuple[bytes, int | None]:
    """Return the body of the answer, and the length of its JSON if tensors follow.

    Args:
        asked: the request.
        answered: its answers.
        warnings: about its crops.
    """
    outputs: list[dict[str, Any]] = []
    tails: list[bytes] = []
    for wanted, known, shape, values in outputs_of(asked, answered):
        tensor = {"name": known.name, "datatype": known.datatype, "shape": shape}
        is_binary = wanted.parameters.binary_data
        if is_binary if is_binary is not None else asked.parameters.binary_data_output:
            tails.append(values.tobytes())
            outputs.append(tensor | {"parameters": {"binary_data_size": len(tails[-1])}})
        else:
            outputs.append(tensor | {"data": values.tolist()})
    name, version, parameters = origin_of(answered, warnings)
    head = {
        "model_name": name,
        "model_version": version,
        **({"id": asked.id} if asked.id else {}),
        "parameters": parameters,
        "outputs": outputs,
    }
    written = orjson.dumps(head)
    return b"".join((written, *tails)), len(written) if tails else None


def outputs_of(
    asked: InferBody, answered: Answered
) -> Iterator[tuple[RequestedOutput, Output, list[int], Values]]:
    """Yield each requested output, or all of them: the request for it, its description, its shape and its values."""
    answers = answered.answers
    count = sum(answer.count for answer in answers)
    for wanted in asked.outputs or _ALL_OUTPUTS:
        known = KNOWN[wanted.name]
        yield wanted, known, [count, *known.shape], _values(wanted.name, answers)


def origin_of(
    answered: Answered, warnings: tuple[str, ...]
) -> tuple[str, str, dict[str, str | float | bool]]:
    """Return the name and version of the model that answered, and the parameters of the answer."""
    origin = read_origin(answered.id, answered.answers, answered.total_s)
    parameters = _flat(origin) | ({"warnings": "; ".join(warnings)} if warnings else {})
    return origin["model"], origin["version"], parameters


def _values(name: str, answers: list[Answer]) -> Values:
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
