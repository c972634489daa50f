"""What each API process does every few seconds beside its requests."""

import logging
import threading
from collections.abc import Callable

from services.errors import HxserveError

EVERY_S = 5.0
_log = logging.getLogger(__name__)


class Housekeeping:
    """Calls functions every few seconds, in a thread of its own: `start` it, and `stop` it."""

    def __init__(self, *duties: Callable[[], object]) -> None:
        self._duties = duties
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="housekeeping", daemon=True)

    def start(self) -> None:
        """Start; each function is called at once, too."""
        self._thread.start()

    def stop(self) -> None:
        """Stop, after the present call."""
        self._stopping.set()
        self._thread.join()

    def _run(self) -> None:
        while not self._stopping.is_set():
            for duty in self._duties:
                try:
                    duty()
                except HxserveError as error:  # Redis is away, most likely: the next time is soon
                    _log.debug("%s is left out: %s", duty, error.message)
            self._stopping.wait(EVERY_S)
