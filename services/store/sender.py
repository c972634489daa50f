"""Sending crops to Redis in groups: what concurrent requests bring while one group is under way is the next.

Many requests come in a burst, when the answers of one batch have freed their clients. The burst is sent in several
groups, each by the request that completes it, so that the chip works on the first while the last are still read.
"""

import logging
import threading
from collections import deque
from contextlib import suppress
from typing import Final

from services.errors import HxserveError
from services.store.crops import CropStore, Parcel
from services.store.listener import Reply
from services.wakeups import WakeUp, wake_all

_GROUP: Final = 8
_log = logging.getLogger(__name__)


class CropSender:
    """The one place where a process sends requests of one part; `start` it, and `stop` it."""

    def __init__(self, crops: CropStore, reply_to: str, wake_up: WakeUp) -> None:
        self._crops = crops
        self._reply_to = reply_to
        self._wake_up = wake_up
        self._waiting: deque[tuple[Parcel, Reply]] = deque()
        self._something_waits = threading.Event()
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._send_all, name="sender", daemon=True)

    def start(self) -> None:
        """Begins to send."""
        self._thread.start()

    def stop(self) -> None:
        """Ends when everything is sent."""
        self._stopping.set()
        self._something_waits.set()

    def send(self, parcel: Parcel, reply: Reply) -> None:
        """Sends a request soon; `reply` learns where it was put, or why not."""
        self._waiting.append((parcel, reply))
        if len(self._waiting) >= _GROUP:
            self._send_next_group()
        else:
            self._something_waits.set()

    def _send_all(self) -> None:
        while self._waiting or not self._stopping.is_set():
            self._something_waits.wait()
            self._something_waits.clear()
            while self._waiting:
                self._send_next_group()

    def _send_next_group(self) -> None:
        group: list[tuple[Parcel, Reply]] = []
        with suppress(IndexError):  # another thread may have taken the rest
            while len(group) < _GROUP:
                group.append(self._waiting.popleft())
        if group:
            self._send_group([parcel for parcel, _ in group], [reply for _, reply in group])

    def _send_group(self, parcels: list[Parcel], replies: list[Reply]) -> None:
        try:
            asleep, entries = self._crops.accept_group(self._reply_to, parcels)
        except HxserveError as error:
            for reply in replies:
                reply.refuse(error)
            return
        for entry, reply in zip(entries, replies, strict=True):
            if isinstance(entry, HxserveError):
                reply.refuse(entry)
            else:
                reply.entry = entry
        try:
            wake_all(self._wake_up, asleep)
        except HxserveError as error:
            # The worker's presence thread finds work without a wake-up by itself.
            _log.warning("a chip was not woken: %s", error.message)
