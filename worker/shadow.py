"""The shadow: a share of the crops is read by the chip's mock twin too, to see how often the two disagree."""

import time
from dataclasses import dataclass
from random import random
from typing import Final

import numpy as np
import numpy.typing as npt

from services.chips.series import SeriesStore
from services.chips.store import Lease
from worker.serving import LoadedVersion

_POINT_AFTER_CROPS: Final = 1000
_POINT_AFTER_S: Final = 60.0


@dataclass(slots=True)
class _Sum:
    since: float
    crops: int = 0
    disagreements: int = 0


@dataclass(frozen=True, slots=True)
class Seen:
    """A batch read by the chip: digits (count,) in crops (count, 784), each of `repeats` readings."""

    version: LoadedVersion
    crops: npt.NDArray[np.uint8]
    digits: npt.NDArray[np.uint8]
    repeats: int


class Shadow:
    """Compares chip and twin, and stores the rate of disagreement as a series."""

    def __init__(self, lease: Lease, series: SeriesStore, *, share: float) -> None:
        self._lease = lease
        self._series = series
        self._share = share
        self._seen: Seen | None = None
        self._sum = _Sum(since=time.time())

    def note(self, seen: Seen) -> None:
        """Sample the batch that the chip has just read, at random."""
        has_twin = seen.version.twin is not seen.version.classifier
        self._seen = seen if has_twin and random() < self._share else None

    def compare(self) -> None:
        """Read the sampled batch by the twin, after its sender has the answer; store a point now and then.

        Raises:
            LeaseLostError: the worker no longer holds the chip.
        """
        seen, self._seen = self._seen, None
        if seen is not None:
            twins = seen.version.twin.mean_scores(seen.crops, seen.repeats).argmax(axis=1)
            self._sum.crops += len(seen.crops)
            self._sum.disagreements += int((twins != seen.digits).sum())
        self._keep()

    def _keep(self) -> None:
        total, now = self._sum, time.time()
        if total.crops >= _POINT_AFTER_CROPS or (total.crops and now - total.since > _POINT_AFTER_S):
            self._series.add(
                self._lease,
                "shadow",
                {"at": now, "crops": total.crops, "disagreements": total.disagreements},
            )
            self._sum = _Sum(since=now)
