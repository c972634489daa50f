"""Series of measurements of a chip: its canary, and its shadow; and its fixed pattern."""

import json
from collections.abc import Mapping
from typing import Any, Final, Literal

from services.chips.store import Lease
from services.store import keys
from services.store.connection import Connection

SeriesName = Literal["canary", "shadow"]
_KEPT: Final = 5000


class SeriesStore:
    """Stores the newest points of each series; a point is numbers by name, `at` among them (Unix seconds)."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def add(self, lease: Lease, series: SeriesName, point: Mapping[str, float]) -> None:
        """Append a point to a series.

        Raises:
            LeaseLostError: the worker no longer holds the chip.
        """
        flat = [text for name, number in point.items() for text in (name, repr(float(number)))]
        self._connection.run("chips/add_point", lease.chip, lease.fence, series, _KEPT, *flat)

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
        found: Any = self._connection.client.xrevrange(keys.chip_key(chip, series), count=count)
        return [
            {name.decode(): float(number) for name, number in point.items()} for _, point in reversed(found)
        ]
