"""The delivery of webhooks: what each API process does beside its requests."""

import logging
import random
import threading
import time
from typing import Final

from services.errors import HxserveError
from services.logs import about
from services.webhooks.record import Claimed
from services.webhooks.retries import pause_s
from services.webhooks.sending import Answer, Sender
from services.webhooks.signing import signed_headers
from services.webhooks.store import WebhookStore

AT_ONCE: Final = 32
"""Deliveries that one process tries at the same time."""
_EVERY_S: Final = 1.0
_GONE: Final = 410
_STOPPING_S: Final = 3.0
_log = logging.getLogger(__name__)


class Deliverer:
    """Claims deliveries and tries them, each in a thread of its own: `start` it, and `stop` it.

    A claim is a lease: what this process cannot finish is claimed by another one later.
    """

    def __init__(self, store: WebhookStore, sender: Sender) -> None:
        self._store = store
        self._sender = sender
        self._stopping = threading.Event()
        self._changed = threading.Condition()
        self._running = 0
        self._thread = threading.Thread(target=self._run, name="webhooks", daemon=True)

    def start(self) -> None:
        """Start."""
        self._thread.start()

    def stop(self) -> None:
        """Stop; tries that end within a few seconds are recorded."""
        self._stopping.set()
        self._thread.join()
        with self._changed:
            self._changed.wait_for(lambda: self._running == 0, _STOPPING_S)

    def _run(self) -> None:
        while not self._stopping.is_set():
            is_busy = False
            try:
                claimed = self._store.claim(AT_ONCE - self._running) if self._running < AT_ONCE else []
                is_busy = bool(claimed)
                for each in claimed:
                    with self._changed:
                        self._running += 1
                    threading.Thread(target=self._deliver, args=(each,), daemon=True).start()
            except HxserveError as error:  # Redis is away, most likely: the next time is soon
                _log.debug("deliveries are not claimed: %s", error.message)
            self._stopping.wait(_EVERY_S / 10 if is_busy else _EVERY_S)

    def _deliver(self, claimed: Claimed) -> None:
        try:
            with about(user=claimed.user):
                self.try_once(claimed)
        except HxserveError as error:
            _log.debug("a try of delivery %s is not recorded: %s", claimed.id, error.message)
        finally:
            with self._changed:
                self._running -= 1
                self._changed.notify_all()

    def try_once(self, claimed: Claimed) -> None:
        """Send a delivery, and record what came of it.

        Raises:
            RedisUnavailableError: it cannot be recorded; it is sent again when the lease ends.
        """
        began = time.monotonic()
        headers = signed_headers(claimed.secret, claimed.id, int(time.time()), claimed.body)
        answer = self._sender.send(claimed.url, headers, claimed.body)
        self._record(claimed, answer, time.monotonic() - began)

    def _record(self, claimed: Claimed, answer: Answer, took_s: float) -> None:
        if answer.problem is None:
            self._store.finish(claimed, "delivered", status=answer.status, took_s=took_s, problem="")
            return
        pause = pause_s(claimed.number, random.random(), answer.asked_s)
        switched_off = self._store.finish(
            claimed,
            "gone" if answer.status == _GONE else "failed" if pause is None else "retry",
            status=answer.status,
            took_s=took_s,
            problem=answer.problem,
            pause_s=pause or 0.0,
        )
        if pause is None:
            _log.info(
                "webhook %s: delivery %s failed after %d tries", claimed.hook, claimed.id, claimed.number
            )
        if switched_off:
            _log.info("webhook %s was switched off: all its deliveries fail", claimed.hook)
