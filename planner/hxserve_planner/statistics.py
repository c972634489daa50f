"""Statistics of a simulation, by interval of the day."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final, Literal

import numpy as np
from numpy.typing import NDArray

ChipUse = Literal["crops", "programs", "long", "care", "around"]
"""Uses of a chip's time: crops, programs, long work, its own care; `around` is the worker's time in between."""

CHIP_USES: Final[Sequence[ChipUse]] = ("crops", "programs", "long", "care", "around")


@dataclass(slots=True)
class IntervalStatistics:
    """One interval, an hour or less.

    Attributes:
        hour: When it begins, hours from the beginning.
        seconds: How long it is.
        watched_s: How much of it was simulated unit by unit and counted.
        spent_s: Chip time of all chips in the time that was watched.
        long_s: Chip time of long work in the whole interval.
        waited_s, answered_s: Of users' requests: until their crops were begun, and until they were answered.
        centre_waited_s, centre_answered_s: The same of letter centres' requests.
        letters_s: From camera to decision.
        hurried: Letters decided on without the second look they wanted, for want of time.
        held_up: Letters that came while their belt stood.
        crops: Read in the time that was watched.
        requests, refused: Of crops, in the time that was watched.
        operations_s: Of programs, from sending an operation to its answer, in the time that was watched.
        operations_refused: By reason, in that time.
        trainings: Submitted in the whole interval.
        flooded_s, flooded_long_s: Time of a flood of crops and operations while long work waited, and its part for long
            work.
        queue_jobs, queue_crops: Unfinished long jobs and waiting crops at the end.
    """

    hour: float
    seconds: float
    watched_s: float = 0.0
    spent_s: dict[ChipUse, float] = field(default_factory=lambda: dict.fromkeys(CHIP_USES, 0.0))
    long_s: float = 0.0
    waited_s: list[float] = field(default_factory=list)
    answered_s: list[float] = field(default_factory=list)
    centre_waited_s: list[float] = field(default_factory=list)
    centre_answered_s: list[float] = field(default_factory=list)
    letters_s: list[float] = field(default_factory=list)
    hurried: int = 0
    held_up: int = 0
    crops: int = 0
    requests: int = 0
    refused: dict[str, int] = field(default_factory=dict)
    operations_s: list[float] = field(default_factory=list)
    operations_refused: dict[str, int] = field(default_factory=dict)
    trainings: int = 0
    flooded_s: float = 0.0
    flooded_long_s: float = 0.0
    queue_jobs: int = 0
    queue_crops: int = 0

    @property
    def weight(self) -> float:
        """Length of the whole interval over its simulated part."""
        return self.seconds / self.watched_s if self.watched_s > 0 else 0.0

    def refuse(self, why: str) -> None:
        """Count a request of crops that found no room."""
        self.refused[why] = self.refused.get(why, 0) + 1


@dataclass(frozen=True, slots=True)
class Ended:
    """A training from submission to end, in simulated seconds from the beginning."""

    submitted_at: float
    began_at: float
    ended_at: float


@dataclass(slots=True)
class Statistics:
    """All of a simulation.

    Attributes:
        intervals: In their order.
        ended: Trainings that succeeded.
        began_s: How long trainings waited that were begun.
        unbegun: How long trainings had waited at the end that were not begun.
        refused: Trainings refused, by reason.
        units: Simulated one by one.
        unfinished: Trainings at the end.
    """

    intervals: list[IntervalStatistics] = field(default_factory=list)
    ended: list[Ended] = field(default_factory=list)
    began_s: list[float] = field(default_factory=list)
    unbegun: list[float] = field(default_factory=list)
    refused: dict[str, int] = field(default_factory=dict)
    units: int = 0
    unfinished: int = 0

    def note_end(self, submitted_at: float, began_at: float, now: float) -> None:
        """Count a training that succeeded."""
        self.ended.append(Ended(submitted_at, began_at, now))

    def refuse(self, why: str) -> None:
        """Count a training that was refused."""
        self.refused[why] = self.refused.get(why, 0) + 1


def percentiles(
    values: Sequence[float] | NDArray[np.float64],
    ranks: Sequence[float],
    weights: NDArray[np.float64] | None = None,
) -> list[float] | None:
    """Return nearest-rank percentiles, each value counted as often as it weighs; None of nothing.

    Args:
        values: in any order.
        ranks: 0..100.
        weights: > 0, one per value; all alike when left out.
    """
    found = np.asarray(values, np.float64)
    if not found.size:
        return None
    order = np.argsort(found, kind="stable")
    part = np.ones(found.size) if weights is None else weights[order]
    cumulated = np.cumsum(part)
    places = np.searchsorted(cumulated, np.asarray(ranks) / 100 * cumulated[-1] * (1 - 1e-12))
    return [float(found[order][min(place, found.size - 1)]) for place in places]
