"""The decision on a letter: routed, or rejected to manual coding, and why."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from hxserve_letters.errors import TooFewLettersError
from hxserve_letters.postcodes import Route, route_of
from hxserve_letters.reading import Reading

_LEAST_LETTERS: Final = 100


class Reason(StrEnum):
    """Why a letter is not routed."""

    NOT_FOUND = "no postcode found"
    NOT_CUT = "not five digits"
    UNSURE = "not sure"
    LATE = "too late"


@dataclass(frozen=True, slots=True)
class Decision:
    """The decision on a letter.

    Attributes:
        number: which letter.
        machine: which machine's.
        written: the postcode that was written.
        reading: None when nothing could be read.
        route: where it goes; None when it was rejected.
        reason: why it was rejected.
        latency_s: from the camera to the decision.
        looks: how often its crops were sent.
    """

    number: int
    machine: int
    written: str
    reading: Reading | None
    route: Route | None
    reason: Reason | None
    latency_s: float
    looks: int

    @property
    def is_wrong(self) -> bool:
        """Whether the letter was routed to a region that is not its own."""
        return self.route is not None and self.route.region != self.written[:2]

    @property
    def is_misread(self) -> bool:
        """Whether the letter was routed, and any of its five digits was read wrong."""
        return self.route is not None and self.reading is not None and self.reading.postcode != self.written


def decide(
    reading: Reading | None, was_found: bool, threshold: float, *, is_late: bool
) -> tuple[Route | None, Reason | None]:
    """Decide the way of a letter, or why it has none.

    A letter decided on after its deadline has passed the gate, however well it was read.
    """
    if is_late:
        return None, Reason.LATE
    if reading is None:
        return None, Reason.NOT_CUT if was_found else Reason.NOT_FOUND
    if reading.confidence < threshold:
        return None, Reason.UNSURE
    return route_of(reading.postcode), None


def choose_threshold(confidences: Sequence[float], are_right: Sequence[bool], most_error: float) -> float:
    """Choose the least threshold that keeps the error rate of the letters above it below a limit.

    Two standard deviations of the number of errors are left as a margin, as other letters will make other errors.

    Args:
        confidences: of letters that were read, 0..1.
        are_right: whether each was read right.
        most_error: share of wrong ones among the routed, 0..1.

    Returns:
        0..1; above every confidence when no threshold keeps the limit.

    Raises:
        TooFewLettersError: fewer than a hundred letters.
    """
    if len(confidences) < _LEAST_LETTERS:
        raise TooFewLettersError(
            f"{len(confidences)} letters are too few to choose a threshold on; read at least {_LEAST_LETTERS}"
        )
    threshold, errors = 1.0, 0
    for routed, (confidence, is_right) in enumerate(
        sorted(zip(confidences, are_right, strict=True), reverse=True), 1
    ):
        errors += not is_right
        if errors + 2 * math.sqrt(errors) <= most_error * routed:
            threshold = confidence
    return threshold
