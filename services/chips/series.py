"""Series of measurements: a chip's canary and its shadow, and trials of candidates; and a chip's fixed pattern."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final, Literal

from services.chips.store import Lease
from services.store import keys
from services.store.connection import Connection

SeriesName = Literal["canary", "shadow"]
_KEPT: Final = 5000


@dataclass(frozen=True, slots=True)
class Trial:
    """A version of a model whose crops a candidate, another version, reads too."""

    model: str
    version: str
    candidate: str

    @property
    def reference(self) -> str:
        """The version that answers."""
        return f"{self.model}@{self.version}"

    def __str__(self) -> str:
        """Return the name of its series."""
        return f"trial {self.reference} {self.candidate}"


class SeriesStore:
    """Stores the newest points of each series; a point is numbers by name, `at` among them (Unix seconds)."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def add(self, lease: Lease, series: SeriesName | Trial, point: Mapping[str, float]) -> None:
        """Append a point to a series of the lease's chip, or to that of a trial.

        Raises:
            LeaseLostError: the worker no longer holds the chip.
        """
        flat = [text for name, number in point.items() for text in (name, repr(float(number)))]
        self._connection.run("chips/add_point", lease.chip, lease.fence, str(series), _KEPT, *flat)

    def keep_pattern(self, lease: Lease, pattern: Mapping[str, Any]) -> None:
        """Store a chip's fixed pattern; it replaces the previous one.

        Raises:
            LeaseLostError: the worker no longer holds the chip.
        """
        self._connection.run("chips/keep_pattern", lease.chip, lease.fence, json.dumps(pattern))

    def pattern(self, chip: str) -> dict[str, Any] | None:
        """Return the chip's fixed pattern stored last, else None."""
        stored: Any = self._connection.client.get(keys.chip_key(chip, "pattern"))
        return json.loads(stored) if stored else None

    def newest(self, chip: str, series: SeriesName, count: int) -> list[dict[str, float]]:
        """Return the newest points of a chip's series, oldest first."""
        return self._newest(keys.chip_key(chip, series), count)

    def of_trial(self, trial: Trial) -> list[dict[str, float]]:
        """Return all points that are kept of a trial, oldest first."""
        return self._newest(keys.trial_key(trial.reference, trial.candidate), _KEPT)

    def _newest(self, stream: str, count: int) -> list[dict[str, float]]:
        found: Any = self._connection.client.xrevrange(stream, count=count)
        return [
            {name.decode(): float(number) for name, number in point.items()} for _, point in reversed(found)
        ]
