"""Time series of queue lengths: waiting crops and long jobs, every few seconds for two hours."""

import logging
import threading
import time
from dataclasses import dataclass
from typing import Any, Final

from services.errors import HxserveError
from services.store import keys
from services.store.connection import Connection

EVERY_S: Final = 5.0
_KEPT: Final = int(2 * 3600 / EVERY_S)

_log = logging.getLogger(__name__)


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


class QueueMetricsRecorder:
    """Notes every few seconds how much waits; `start` it, and `stop` it."""

    def __init__(self, store: QueueMetricsStore) -> None:
        self._store = store
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._note_on, name="queue-metrics", daemon=True)

    def start(self) -> None:
        """Start recording."""
        self._thread.start()

    def stop(self) -> None:
        """Stop recording."""
        self._stopping.set()
        self._thread.join()

    def _note_on(self) -> None:
        while not self._stopping.is_set():
            try:
                self._store.note()
            except HxserveError as error:  # a gap in the series says so too
                _log.debug("how much waits is not noted: %s", error.message)
            self._stopping.wait(EVERY_S)
