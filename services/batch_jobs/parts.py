"""Parts of the answers of a batch job: files of arrays, with the facts about them in the header."""

import json
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, Self

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, ValidationError
from safetensors import SafetensorError
from safetensors.numpy import load, save

from services.errors import BatchDamagedError

UNREADABLE: Final = 255
"""In the place of the digit of a crop that could not be read."""
_FACTS: Final = "facts"


class CallOrigin(BaseModel):
    """Where chip calls were made: the same for most of a job."""

    model_config = ConfigDict(frozen=True)

    model: str
    version: str
    chip: str
    backend: str
    calibration: dict[str, Any] | None
    transferred: bool
    repeats: int


@dataclass(slots=True)
class Totals:
    """Sums over answers."""

    crops: int = 0
    calls: int = 0
    unreadable: int = 0
    chip_s: float = 0.0
    confidence: float = 0.0
    digits: list[int] = field(default_factory=lambda: [0] * 10)

    def plus(self, other: "Totals") -> "Totals":
        """Return the sums of both."""
        return Totals(
            self.crops + other.crops,
            self.calls + other.calls,
            self.unreadable + other.unreadable,
            self.chip_s + other.chip_s,
            self.confidence + other.confidence,
            [one + more for one, more in zip(self.digits, other.digits, strict=True)],
        )


class Facts(BaseModel):
    """What a part says besides its arrays.

    Attributes:
        first_call: number of its first chip call among those of the job.
        sources: of its calls.
        names: of its crops, by their place in the part, where they were pictures.
        problems: why crops could not be read, by their place in the part.
        totals: of its answers.
    """

    model_config = ConfigDict(frozen=True)

    first_call: int = 0
    sources: list[CallOrigin] = []
    names: dict[int, str] = {}
    problems: dict[int, str] = {}
    totals: Totals = Totals()


@dataclass(frozen=True, slots=True)
class Part:
    """Answers to crops that follow each other.

    Attributes:
        first: number of the first crop among those of the job.
        digits: (n,) uint8, 0..9 or `UNREADABLE`.
        scores: (n, 10) int8, in LSB of the chip's ADC.
        confidences: (n,) float32, 0..1.
        calls: (n,) uint32, the number of the chip call that read each crop.
        call_s: (calls,) float32, seconds that each call took.
        called_at: (calls,) float64, Unix seconds.
        call_source: (calls,) uint16, place in `facts.sources`.
        facts: the rest.
    """

    first: int
    digits: NDArray[np.uint8]
    scores: NDArray[np.int8]
    confidences: NDArray[np.float32]
    calls: NDArray[np.uint32]
    call_s: NDArray[np.float32]
    called_at: NDArray[np.float64]
    call_source: NDArray[np.uint16]
    facts: Facts

    def packed(self) -> bytes:
        """Return the bytes of its file."""
        arrays = {name: getattr(self, name) for name in ARRAYS}
        packed: bytes = save(arrays, {_FACTS: self.facts.model_dump_json()})
        return packed

    @classmethod
    def read(cls, path: Path) -> Self:
        """Return the part of a file.

        Raises:
            BatchDamagedError: it is none.
        """
        try:
            content = path.read_bytes()
            return cls(
                int(path.stem), **load(content), facts=_facts_of(content[: 8 + _header_bytes(content)])
            )
        except (OSError, SafetensorError, ValueError, KeyError, TypeError) as error:
            raise _damaged(path, error) from None


ARRAYS: Final[Mapping[str, tuple[type[np.generic], tuple[int, ...]]]] = {
    "digits": (np.uint8, ()),
    "scores": (np.int8, (10,)),
    "confidences": (np.float32, ()),
    "calls": (np.uint32, ()),
    "call_s": (np.float32, ()),
    "called_at": (np.float64, ()),
    "call_source": (np.uint16, ()),
}
"""The arrays of a part: their types, and their shapes without the first axis."""


def parts_of(paths: Collection[Path]) -> Iterator[Part]:
    """Return the parts in files, one after the other.

    Raises:
        BatchDamagedError: one cannot be read.
    """
    return map(Part.read, paths)


def facts_in(path: Path) -> Facts:
    """Return the facts of a part, without its arrays.

    Raises:
        BatchDamagedError: they cannot be read.
    """
    try:
        with path.open("rb") as file:
            head = file.read(8)
            return _facts_of(head + file.read(_header_bytes(head)))
    except (OSError, ValueError, KeyError) as error:
        raise _damaged(path, error) from None


def _header_bytes(content: bytes) -> int:
    return int.from_bytes(content[:8], "little")


def _facts_of(header: bytes) -> Facts:
    return Facts.model_validate_json(json.loads(header[8:])["__metadata__"][_FACTS])


def _damaged(path: Path, error: Exception) -> BatchDamagedError:
    reason = error.errors()[0]["msg"] if isinstance(error, ValidationError) else error
    return BatchDamagedError(
        f"the answers {path.name} of job {path.parent.name} are damaged ({reason}); submit the job again"
    )
