"""The record of a correction."""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Literal, Self

Source = Literal["answer", "desk", "teaching"]
"""The origin of crop and label: an answer that was corrected, the coding desk, or digits written to teach."""


class Outcome(StrEnum):
    """The result of comparing an answer with its correction."""

    RIGHT = "right"
    WRONG = "wrong"
    NOT_A_DIGIT = "not_a_digit"


@dataclass(frozen=True, slots=True)
class Correction:
    """A crop with its digit, 0..9, or None for a crop that shows none.

    `answer` and `index` name the crop's place in an answer, `read`, `confidence`, `model` and `version` what the chip
    read; they are None for a crop that came with its label. `at` is the time of the last word, Unix seconds. `crop` are
    784 bytes, none once the correction is `closed` into a version of a data set.
    """

    id: str
    digit: int | None
    source: Source
    at: float
    crop: bytes
    answer: str | None = None
    index: int | None = None
    read: int | None = None
    confidence: float | None = None
    model: str | None = None
    version: str | None = None
    closed: str | None = None

    @property
    def outcome(self) -> Outcome | None:
        """Whether the answer was right; None without an answer."""
        return None if self.read is None else outcome_of(self.digit, self.read)

    @classmethod
    def from_hash(cls, correction_id: str, stored: Mapping[bytes, bytes]) -> Self:
        """Return the correction that a Redis hash holds; numbers are text, and '' stands for none."""
        text = {
            name: stored.get(name.encode(), b"").decode()
            for name in ("digit", "source", "at", "answer", "index", "read", "confidence", "model", "version")
        }
        source: Source = "answer"
        match text["source"]:
            case "desk" | "teaching" as given:
                source = given
        return cls(
            id=correction_id,
            digit=_number(text["digit"]),
            source=source,
            at=float(text["at"]),
            crop=stored.get(b"crop", b""),
            answer=text["answer"] or None,
            index=_number(text["index"]),
            read=_number(text["read"]),
            confidence=float(text["confidence"]) if text["confidence"] else None,
            model=text["model"] or None,
            version=text["version"] or None,
            closed=stored[b"closed"].decode() if b"closed" in stored else None,
        )


def outcome_of(digit: int | None, read: int) -> Outcome:
    """Return the outcome of an answer whose right digit is `digit`."""
    if digit is None:
        return Outcome.NOT_A_DIGIT
    return Outcome.RIGHT if digit == read else Outcome.WRONG


def _number(text: str) -> int | None:
    return int(text) if text else None
