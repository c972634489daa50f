"""The heartbeat: a thread that renews the lease, and sends a wake-up if work waits without a turn."""

import logging
import os
import threading
import time
from collections.abc import Callable, Mapping
from typing import Any, Final

from services.chips.store import ChipStore, Lease
from services.errors import HxserveError, LeaseLostError
from worker.systemd import ALIVE, notify

LEASE_LOST_EXIT: Final = 75
"""Exit status after a lost lease (EX_TEMPFAIL): the supervisor starts a fresh worker."""

_log = logging.getLogger(__name__)


class Heartbeat:
    """Renews the lease every quarter of its life; ends the process when it is lost or no turn ever comes.

    Each beat also notifies systemd's watchdog, if there is one.

    `status` gives the status for the chip's record, `last_turn` the monotonic time of the last activity of a turn. Work
    that waits `wake_after_s` without a turn causes a wake-up; after `give_up_after_s` the process ends.
    """

    def __init__(
        self,
        lease: Lease,
        chips: ChipStore,
        status: Callable[[], Mapping[str, Any]],
        wake: Callable[[], None],
        last_turn: Callable[[], float],
        maintenance_is_due: Callable[[], bool],
        *,
        lease_s: float,
        wake_after_s: float = 2.5,
        give_up_after_s: float = 30.0,
    ) -> None:
        self._lease = lease
        self._chips = chips
        self._status = status
        self._wake = wake
        self._last_turn = last_turn
        self._maintenance_is_due = maintenance_is_due
        self._every_s = lease_s / 4
        self._wake_after_s = wake_after_s
        self._give_up_after_s = give_up_after_s
        self._stopping = threading.Event()
        self._idle_since = time.monotonic()
        self._thread = threading.Thread(target=self._watch, name="heartbeat", daemon=True)

    def start(self) -> None:
        """Renew the lease and start the thread."""
        self.report()
        self._thread.start()

    def report(self) -> bool:
        """Renew the lease with the chip's status; return whether work waits.

        Raises:
            LeaseLostError: another worker has the lease.
            RedisUnavailableError: Redis does not answer.
        """
        return self._chips.renew(self._lease, self._status())

    def stop(self) -> None:
        """Stop the thread; the lease stays as it is."""
        self._stopping.set()
        self._thread.join()

    def _watch(self) -> None:
        while not self._stopping.wait(self._every_s):
            notify(ALIVE)  # also while Redis is away: starting again would not bring it back
            try:
                has_work = self.report()
                self._see_to_work(has_work or self._maintenance_is_due())
            except LeaseLostError:
                _log.error("another worker has the chip's lease; this one ends at once")
                os._exit(LEASE_LOST_EXIT)
            except HxserveError as error:
                _log.warning("the lease cannot be renewed: %s", error.message)
                self._idle_since = time.monotonic()

    def _see_to_work(self, has_work: bool) -> None:
        now = time.monotonic()
        if not has_work:
            self._idle_since = now
            return
        without_turn_s = now - max(self._last_turn(), self._idle_since)
        if without_turn_s > self._give_up_after_s:
            _log.error("work waits, but no turn came for %.0f s; this worker ends", without_turn_s)
            os._exit(LEASE_LOST_EXIT)
        if without_turn_s > self._wake_after_s:
            _log.warning("work waits, but no turn came for %.1f s; another wake-up is sent", without_turn_s)
            self._wake()
