"""Answers of the chip: their wire format between worker and API, and the JSON result."""

import struct
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from math import prod
from typing import Any, Final, Self

import msgpack

from services.crops.lanes import Span
from services.crops.remarks import NO_REMARKS, Remarks
from services.errors import HxserveError

CROP_BYTES: Final = 784
"""One crop: 28 x 28 grey values, one byte each."""

_SCORES: Final = struct.Struct("10b")


@dataclass(frozen=True, slots=True)
class Provenance:
    """The origin of an answer, the same for all crops of a batch.

    `backend` is `hxtorch`, `emulator` or `mock`. `transferred` says that the model learnt in the loop of
    another chip. Times are seconds; `batch_crops` counts the crops of the one chip call.
    """

    model: str
    version: str
    chip: str
    backend: str
    calibration: Mapping[str, Any] | None
    transferred: bool
    batch_crops: int
    chip_s: float
    repeats: int = 1


@dataclass(frozen=True, slots=True)
class Activations:
    """The hidden activations of crops: `values` are (count, size) uint8, those of all `layers` of one crop together.

    A layer has a name and a shape, as `Network.hidden` gives them.
    """

    layers: tuple[tuple[str, tuple[int, ...]], ...]
    values: bytes

    @property
    def size(self) -> int:
        """The number of values of one crop."""
        return sum(prod(shape) for _, shape in self.layers)

    def cut(self, span: Span) -> "Activations":
        """Return those of some of the crops."""
        first, end = self.size * span.first, self.size * (span.first + span.count)
        return Activations(self.layers, self.values[first:end])

    def of_crop(self, number: int) -> list[dict[str, Any]]:
        """Return the layers of one crop, with their values."""
        layers, place = [], number * self.size
        for name, shape in self.layers:
            end = place + prod(shape)
            layers.append({"layer": name, "shape": shape, "values": list(self.values[place:end])})
            place = end
        return layers


@dataclass(slots=True)
class Scores:
    """What was read in crops.

    `digits` are (count,) uint8; `scores` are (count, 10) int8 as the chip's ADC gave them, or the rounded mean
    of several readings; `confidences` are (count,) float32 in 0..1.
    """

    digits: bytes = b""
    scores: bytes = b""
    confidences: bytes = b""

    @property
    def count(self) -> int:
        """The number of crops."""
        return len(self.digits)

    def part(self, span: Span) -> tuple[bytes, bytes, bytes]:
        """Return digits, scores and confidences of some of the crops."""
        first, end = span.first, span.first + span.count
        return (
            self.digits[first:end],
            self.scores[10 * first : 10 * end],
            self.confidences[4 * first : 4 * end],
        )

    def of_crops(self) -> list[dict[str, Any]]:
        """Return digit, scores and confidence of each crop."""
        confidences = memoryview(self.confidences).cast("f")
        crops = zip(self.digits, _SCORES.iter_unpack(self.scores), confidences, strict=True)
        return [
            {
                "digit": digit,
                "scores": list(scores),
                "confidence": round(1e4 * confidence) / 1e4,  # a fifth of the time of round(confidence, 4)
            }
            for digit, scores, confidence in crops
        ]


@dataclass(slots=True)
class Answer(Scores):
    """The answer to one part of a request.

    `slot` is the place of the part's first crop in its batch. `problem` is set instead when the crops were not run.
    `activations` and `mock`, what mock arithmetic read, are there where they were asked for.
    """

    slot: int = 0
    waiting_s: float = 0.0
    provenance: Provenance | None = None
    problem: Mapping[str, str] | None = None
    activations: Activations | None = None
    mock: Scores | None = None

    def pack(self) -> bytes:
        """Return the answer as bytes."""
        fields = [
            self.digits,
            self.scores,
            self.confidences,
            self.slot,
            self.waiting_s,
            asdict(self.provenance) if self.provenance else None,
            self.problem,
        ]
        if self.activations is not None or self.mock is not None:
            hidden, mock = self.activations, self.mock
            fields += [
                hidden and (hidden.layers, hidden.values),
                mock and (mock.digits, mock.scores, mock.confidences),
            ]
        packed: bytes = msgpack.packb(fields)
        return packed

    @classmethod
    def unpack(cls, packed: bytes) -> Self:
        """Return the answer that `pack` made bytes of."""
        digits, scores, confidences, slot, waiting_s, origin, problem, *extras = msgpack.unpackb(packed)
        provenance = Provenance(**origin) if origin else None
        answer = cls(digits, scores, confidences, slot, waiting_s, provenance, problem)
        if extras:
            hidden, mock = extras
            if hidden is not None:
                layers, values = hidden
                answer.activations = Activations(
                    tuple((name, tuple(shape)) for name, shape in layers), values
                )
            if mock is not None:
                answer.mock = Scores(*mock)
        return answer

    def cut(self, span: Span) -> "Answer":
        """Return the answer to some of the crops; to each of them, if they were not run."""
        if self.problem:
            return self
        return Answer(
            *self.part(span),
            self.slot + span.first,
            self.waiting_s,
            self.provenance,
            activations=self.activations and self.activations.cut(span),
            mock=self.mock and Scores(*self.mock.part(span)),
        )

    def predictions(self) -> list[dict[str, Any]]:
        """Return a dictionary for each crop, in the order sent."""
        assert self.provenance is not None
        batch_crops = self.provenance.batch_crops
        predictions = self.of_crops()
        for slot, prediction in enumerate(predictions, self.slot):
            prediction["batch_size"] = batch_crops
            prediction["slot"] = slot
        if self.activations is not None:
            for number, prediction in enumerate(predictions):
                prediction["activations"] = self.activations.of_crop(number)
        if self.mock is not None:
            for prediction, mock in zip(predictions, self.mock.of_crops(), strict=True):
                prediction["mock"] = mock
        return predictions


def problem_of(error: HxserveError) -> dict[str, str]:
    """Return an error in the form that answers and job records carry."""
    return {"code": error.code, "message": error.message}


def read(
    answer_id: str, answers: Iterable[Answer], total_s: float | None, remarks: Remarks = NO_REMARKS
) -> dict[str, Any]:
    """Return the JSON result of a whole request.

    Args:
        answer_id: by which the answer can be corrected, if it is kept.
        answers: at least one, none of them a problem.
        total_s: time from acceptance to now, if known.
        remarks: about its crops.
    """
    parts = list(answers)
    result = read_origin(answer_id, parts, total_s)
    result["predictions"] = [prediction for part in parts for prediction in part.predictions()]
    remarks.mark(result["predictions"])
    remarks.bound(result["predictions"])
    result["warnings"] = list(remarks.warnings)
    return result


def read_origin(answer_id: str, parts: Sequence[Answer], total_s: float | None) -> dict[str, Any]:
    """Return the result of a whole request without its predictions: id, model, chip and times."""
    waiting_s = chip_s = 0.0
    origin = parts[-1].provenance
    assert origin is not None
    for part in parts:
        origin = part.provenance or origin
        waiting_s = max(waiting_s, part.waiting_s)
        chip_s += origin.chip_s * len(part.digits) / origin.batch_crops
    timing = {"waiting_ms": round(1e6 * waiting_s) / 1e3, "chip_ms": round(1e6 * chip_s) / 1e3}
    if total_s is not None:
        timing["total_ms"] = round(1e6 * total_s) / 1e3
    return {
        "id": answer_id,
        "model": origin.model,
        "version": origin.version,
        "chip": origin.chip,
        "backend": origin.backend,
        "calibration": origin.calibration,
        "transferred": origin.transferred,
        "timing": timing,
    }
