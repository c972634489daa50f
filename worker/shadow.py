"""The shadow: a share of the crops is read by the chip's mock twin too, to see how often the two disagree."""

import time
from dataclasses import dataclass
from random import random
from typing import Final

import numpy as np
import numpy.typing as npt

from services.store.chips import Lease
from services.store.series import SeriesStore
from worker.serving import LoadedVersion

_POINT_AFTER_CROPS: Final = 1000
_POINT_AFTER_S: Final = 60.0


@dataclass(slots=True)
class _Sum:
    since: float
    crops: int = 0
    disagreements: int = 0


class Shadow:
    """Compares chip and twin, and keeps the rate of disagreement as a series."""

    def __init__(self, lease: Lease, series: SeriesStore, *, share: float) -> None:
        self._lease = lease
        self._series = series
        self._share = share
        self._sum = _Sum(since=time.time())

    def compare(
        self, version: LoadedVersion, crops: npt.NDArray[np.uint8], digits: npt.NDArray[np.uint8]
    ) -> None:
        """Reads a batch `(count, 784)` with the twin, if the lot falls on it, beside the chip's digits (count,)."""
        if version.twin is version.classifier or random() >= self._share:
            return
        twins = version.twin.scores(crops).argmax(axis=1)
        self._sum.crops += len(crops)
        self._sum.disagreements += int((twins != digits).sum())

    def keep(self) -> None:
        """Keeps a point when there is enough for one.

        Raises:
            LeaseLostError: the worker no longer holds the chip.
        """
        total, now = self._sum, time.time()
        if total.crops >= _POINT_AFTER_CROPS or (total.crops and now - total.since > _POINT_AFTER_S):
            self._series.add(
                self._lease,
                "shadow",
                {"at": now, "crops": total.crops, "disagreements": total.disagreements},
            )
            self._sum = _Sum(since=now)
