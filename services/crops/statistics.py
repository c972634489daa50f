"""Counts and times of classification requests since this process started, by model version."""

import threading
import time
from bisect import bisect_left
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, Self

from services.crops.answers import Answer

BOUNDS_S: Final = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0)
"""Upper bounds of histogram buckets for times, seconds."""


BATCH_BOUNDS: Final = tuple(2**power for power in range(13))
"""Upper bounds of histogram buckets for crops per chip call."""


class Distribution:
    """A histogram: counts of values by bucket, and their sum."""

    def __init__(self, bounds: Sequence[float] = BOUNDS_S) -> None:
        self.bounds = bounds
        self.counts = [0] * (len(bounds) + 1)
        """Values by bucket; the last bucket has no bound."""
        self.sum = 0.0

    def note(self, value: float, times: int = 1) -> None:
        """Record a value `times` times."""
        self.counts[bisect_left(self.bounds, value)] += times
        self.sum += times * value

    def as_json(self) -> dict[str, Any]:
        """Return the counts and the sum in the form that `from_json` reads."""
        return {"counts": self.counts, "sum": self.sum}

    @classmethod
    def from_json(cls, bounds: Sequence[float], stored: Mapping[str, Any]) -> Self:
        """Return the histogram of another process with the same bounds."""
        distribution = cls(bounds)
        distribution.counts, distribution.sum = list(stored["counts"]), stored["sum"]
        return distribution


@dataclass(slots=True)
class Duration:
    """A number of timed events and their total seconds."""

    count: float = 0.0
    seconds: float = 0.0

    def add(self, seconds: float, times: int = 1) -> None:
        """Record `times` events of `seconds` each."""
        self.count += times
        self.seconds += times * seconds


@dataclass(slots=True)
class VersionStatistics:
    """Requests, crops and chip calls of one version.

    Several requests share a chip call, and each counts its share of it: the sum is the number of `calls`. `batches`
    are they by number of crops. `computed` is the time of the calls that each request was part of. `last_at` is in
    Unix seconds.
    """

    crops: int = 0
    calls: float = 0.0
    last_at: float = 0.0
    succeeded: Duration = field(default_factory=Duration)
    failed: Duration = field(default_factory=Duration)
    waited: Duration = field(default_factory=Duration)
    computed: Duration = field(default_factory=Duration)
    batches: dict[int, Duration] = field(default_factory=dict)


class Statistics:
    """Records requests, from any thread. Times of answered requests are histograms, in seconds."""

    def __init__(self) -> None:
        self.waiting = Distribution()
        self.chip = Distribution()
        self.total = Distribution()
        self._versions: dict[tuple[str, str], VersionStatistics] = {}
        self._lock = threading.Lock()

    def note_answers(
        self, model: str, version: str, answers: list[Answer], total_s: float, requests: int = 1
    ) -> None:
        """Record an answered request, or several that shared an answer."""
        with self._lock:
            counted = self._versions.get((model, version))
            if counted is None:
                counted = self._versions[model, version] = VersionStatistics()
            waiting_s, chip_s = 0.0, 0.0
            for answer in answers:
                origin = answer.provenance
                if origin is not None:
                    size, crops = origin.batch_crops, len(answer.digits)
                    calls = counted.batches.get(size)
                    if calls is None:
                        calls = counted.batches[size] = Duration()
                    share = crops / size
                    calls.count += share
                    calls.seconds += share * origin.chip_s
                    counted.calls += share
                    counted.crops += crops
                    chip_s += origin.chip_s
                waiting_s = max(waiting_s, answer.waiting_s)
            counted.last_at = time.time()
            counted.succeeded.add(total_s, requests)
            counted.waited.add(waiting_s, requests)
            counted.computed.add(chip_s, requests)
            self.waiting.note(waiting_s, requests)
            self.chip.note(chip_s, requests)
            self.total.note(total_s, requests)

    def note_failure(self, model: str, version: str, total_s: float, requests: int = 1) -> None:
        """Record a refused or failed request, or several that were sent as one."""
        with self._lock:
            self._versions.setdefault((model, version), VersionStatistics()).failed.add(total_s, requests)

    def of(self, model: str, version: str) -> VersionStatistics:
        """Return the statistics of a version."""
        return self._versions.get((model, version), VersionStatistics())

    def versions(self) -> Mapping[tuple[str, str], VersionStatistics]:
        """Return the statistics by model and version, in the order of their first requests."""
        with self._lock:
            return dict(self._versions)
