"""What the chip answers to crops: the wire form between worker and API, and what the user reads."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Final, Self

import msgpack

from services.crops.lanes import Span
from services.errors import HxserveError

CROP_BYTES: Final = 784
"""One crop: 28 x 28 grey values, one byte each."""


@dataclass(frozen=True, slots=True)
class Provenance:
    """How an answer came about, the same for all crops of a batch.

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
class Answer:
    """The answer to one part of a request.

    `digits` are (count,) uint8; `scores` are (count, 10) int8 as the chip's ADC gave them, or the rounded mean
    of several readings; `confidences` are (count,) float32 in 0..1. `slot` is the place of the part's first crop
    in its batch. `problem` is set instead when the crops were not run.
    """

    digits: bytes = b""
    scores: bytes = b""
    confidences: bytes = b""
    slot: int = 0
    waiting_s: float = 0.0
    provenance: Provenance | None = None
    problem: Mapping[str, str] | None = None

    def pack(self) -> bytes:
        """The answer as bytes."""
        packed: bytes = msgpack.packb(
            [
                self.digits,
                self.scores,
                self.confidences,
                self.slot,
                self.waiting_s,
                asdict(self.provenance) if self.provenance else None,
                self.problem,
            ]
        )
        return packed

    @classmethod
    def unpack(cls, packed: bytes) -> Self:
        """The inverse of `pack`."""
        digits, scores, confidences, slot, waiting_s, origin, problem = msgpack.unpackb(packed)
        provenance = Provenance(**origin) if origin else None
        return cls(digits, scores, confidences, slot, waiting_s, provenance, problem)

    @property
    def count(self) -> int:
        """The number of crops that were read."""
        return len(self.digits)

    def cut(self, span: Span) -> "Answer":
        """Return the answer to some of the crops; to each of them, if they were not run."""
        if self.problem:
            return self
        first, end = span.first, span.first + span.count
        return Answer(
            self.digits[first:end],
            self.scores[10 * first : 10 * end],
            self.confidences[4 * first : 4 * end],
            self.slot + first,
            self.waiting_s,
            self.provenance,
        )

    def predictions(self) -> list[dict[str, Any]]:
        """One dictionary per crop, in the order sent."""
        assert self.provenance is not None
        scores = memoryview(self.scores).cast("b").tolist()
        confidences = memoryview(self.confidences).cast("f").tolist()
        batch_crops, slot = self.provenance.batch_crops, self.slot
        return [
            {
                "digit": digit,
                "scores": scores[10 * i : 10 * i + 10],
                "confidence": round(confidence, 4),
                "batch_size": batch_crops,
                "slot": slot + i,
            }
            for i, (digit, confidence) in enumerate(zip(self.digits, confidences, strict=True))
        ]


def problem_of(error: HxserveError) -> dict[str, str]:
    """An error as it travels with an answer or a job."""
    return {"code": error.code, "message": error.message}


def read(answers: Iterable[Answer], total_s: float | None) -> dict[str, Any]:
    """The result of a whole request as the user reads it, from the answers of its parts in order.

    Args:
        answers: at least one, none of them a problem.
        total_s: time from acceptance to now, if known.
    """
    parts = list(answers)
    predictions = [prediction for part in parts for prediction in part.predictions()]
    return {**read_origin(parts, total_s), "predictions": predictions}


def read_origin(parts: Sequence[Answer], total_s: float | None) -> dict[str, Any]:
    """How the result of a whole request came about: all that `read` says but the predictions."""
    last = parts[-1].provenance
    assert last is not None
    chip_s = sum(
        part.provenance.chip_s * part.count / part.provenance.batch_crops for part in parts if part.provenance
    )
    timing = {
        "waiting_ms": round(1000 * max(part.waiting_s for part in parts), 3),
        "chip_ms": round(1000 * chip_s, 3),
    }
    if total_s is not None:
        timing["total_ms"] = round(1000 * total_s, 3)
    return {
        "model": last.model,
        "version": last.version,
        "chip": last.chip,
        "backend": last.backend,
        "calibration": last.calibration,
        "transferred": last.transferred,
        "timing": timing,
    }
