"""How much waited, as a series: crops and long jobs, every few seconds of the last two hours."""

import time
from dataclasses import dataclass
from typing import Any, Final

from services.store.connection import Connection, translated_errors

EVERY_S: Final = 5.0
_KEPT: Final = int(2 * 3600 / EVERY_S)


@dataclass(frozen=True, slots=True)
class Depth:
    """What waited at a Unix time: crops that no worker had claimed, long jobs queued; and long jobs running."""

    at: float
    crops: int
    queued: int
    running: int


class DepthStore:
    """Keeps the series; however many processes note it, there is one point every few seconds."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def note(self, *, every_s: float = EVERY_S) -> bool:
        """Notes how much waits now; says whether it was time to."""
        # A little less, so that who asks every few seconds by a clock of its own is not now and then just too early.
        return bool(self._connection.run("note_depth", int(0.9 * 1000 * every_s), _KEPT))

    def lately(self, minutes: int) -> list[Depth]:
        """The points of the last minutes, oldest first."""
        since_ms = int(1000 * (time.time() - 60 * minutes))
        with translated_errors():
            found: Any = self._connection.client.xrange("hx:depth", min=str(since_ms))
        return [
            Depth(
                at=int(entry.partition(b"-")[0]) / 1000,
                crops=int(point[b"crops"]),
                queued=int(point[b"queued"]),
                running=int(point[b"running"]),
            )
            for entry, point in found
        ]
