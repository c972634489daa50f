"""Time series of queue lengths: waiting crops and long jobs, every few seconds for two hours."""

import time
from dataclasses import dataclass
from typing import Any, Final

from services.housekeeping import EVERY_S
from services.store import keys
from services.store.connection import Connection

_KEPT: Final = int(2 * 3600 / EVERY_S)


@dataclass(frozen=True, slots=True)
class Depth:
    """Queue lengths at a Unix time: unclaimed crops, queued long jobs and running long jobs."""

    at: float
    crops: int
    queued: int
    running: int


class QueueMetricsStore:
    """Keeps the series; however many processes note it, there is one point every few seconds."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def note(self, *, every_s: float = EVERY_S) -> bool:
        """Record the present queue lengths; return whether it was time to."""
        # A little less, so that a caller with a clock of its own is not now and then just too early.
        return bool(self._connection.run("crops/note_depth", int(0.9 * 1000 * every_s), _KEPT))

    def lately(self, minutes: int) -> list[Depth]:
        """Return the points of the last minutes, oldest first."""
        since_ms = int(1000 * (time.time() - 60 * minutes))
        found: Any = self._connection.client.xrange(keys.DEPTH, min=str(since_ms))
        return [
            Depth(
                at=int(entry.partition(b"-")[0]) / 1000,
                crops=int(point[b"crops"]),
                queued=int(point[b"queued"]),
                running=int(point[b"running"]),
            )
            for entry, point in found
        ]
