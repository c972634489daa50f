"""Noting how much waits, so that one sees afterwards when it was how much."""

import logging
import threading

from services.errors import HxserveError
from services.store.depths import EVERY_S, DepthStore

_log = logging.getLogger(__name__)


class DepthKeeper:
    """Notes every few seconds how much waits; `start` it, and `stop` it."""

    def __init__(self, depths: DepthStore) -> None:
        self._depths = depths
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._note_on, name="depths", daemon=True)

    def start(self) -> None:
        """Begins to note."""
        self._thread.start()

    def stop(self) -> None:
        """Ends noting."""
        self._stopping.set()
        self._thread.join()

    def _note_on(self) -> None:
        while not self._stopping.is_set():
            try:
                self._depths.note()
            except HxserveError as error:  # a gap in the series says so too
                _log.debug("how much waits is not noted: %s", error.message)
            self._stopping.wait(EVERY_S)
