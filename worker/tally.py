"""Counts of crops read by this worker's chip, for the metrics; published with the worker's status."""

from typing import Any, Final

from services.crops.statistics import BATCH_BOUNDS, Distribution

_MOST_MODELS: Final = 100


class BatchTally:
    """Counts chip calls: how many crops they had, how long they took, and crops by model."""

    def __init__(self) -> None:
        self._sizes = Distribution(BATCH_BOUNDS)
        self._times = Distribution()
        self._crops: dict[str, int] = {}

    def note(self, model: str, crops: int, chip_s: float) -> None:
        """Record a chip call."""
        self._sizes.note(crops)
        self._times.note(chip_s)
        label = model if model in self._crops or len(self._crops) < _MOST_MODELS else "other"
        self._crops[label] = self._crops.get(label, 0) + crops

    def describe(self) -> dict[str, Any]:
        """Return the counts for the worker's status."""
        return {
            "batch_crops": self._sizes.as_json(),
            "batch_chip_seconds": self._times.as_json(),
            "crops": dict(self._crops),
        }
