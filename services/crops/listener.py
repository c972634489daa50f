"""What a process hears from Redis: answers to its own requests, and which jobs changed.

One thread reads one stream of answers and the stream of changes, both from where it last was, so that nothing
is missed while Redis restarts.
"""

import logging
import secrets
import threading
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from typing import Final, Protocol

import msgpack

from services.crops.answers import Answer
from services.errors import HxserveError, RedisUnavailableError
from services.store import keys
from services.store.connection import Connection, ExclusiveConnection, translated_errors

_CHANGES: Final = keys.CHANGES.encode()
_BLOCK_MS: Final = 5000
_PAUSE_S: Final = 0.2
_log = logging.getLogger(__name__)


class Receiver(Protocol):
    """What takes answers; must not wait for anything."""

    def put(self, part: int, answer: Answer) -> bool:
        """Take the answer to one part; return whether no more is expected."""


class Watcher(Protocol):
    """What is told of a change: a `threading.Event`, or what acts like one."""

    def set(self) -> None:
        """Takes notice; must not wait for anything."""


class Listener:
    """The one place where a process hears answers and changes; `start` it, `stop` the waits, `close` it."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self.reply_to: Final = keys.replies_key(secrets.token_hex(8))
        self._receivers: dict[str, Receiver] = {}
        self._watchers: dict[str, set[Watcher]] = {}
        self._lock = threading.Lock()
        self._stopping = threading.Event()
        self._closing = threading.Event()
        self._thread = threading.Thread(target=self._listen, name="listener", daemon=True)

    def start(self) -> None:
        """Begins to listen."""
        self._thread.start()

    def stop(self) -> None:
        """Ends the waits for changes at once; answers are heard until it is closed."""
        self._stopping.set()
        with self._lock:
            for watchers in self._watchers.values():
                for changed in watchers:
                    changed.set()

    def close(self) -> None:
        """Ends listening: the thread has ended when this returns, so that its connection may be closed."""
        self.stop()
        self._closing.set()
        with suppress(RedisUnavailableError):  # while Redis is away the thread does not sleep in it
            with translated_errors():
                self._connection.client.xadd(self.reply_to, {"batch": msgpack.packb([])})
            self._thread.join(_BLOCK_MS / 1000)
            with translated_errors():
                self._connection.client.delete(self.reply_to)
        self._thread.join(_BLOCK_MS / 1000)

    @property
    def is_stopping(self) -> bool:
        """Whether nobody should wait for a change any longer."""
        return self._stopping.is_set()

    def expect(self, sent_id: str, receiver: Receiver) -> None:
        """Gives `receiver` what is answered to a request or parcel of this id; call before it is sent."""
        self._receivers[sent_id] = receiver

    def forget(self, sent_id: str) -> None:
        """Nobody waits for that answer any more."""
        self._receivers.pop(sent_id, None)

    @contextmanager
    def watching(self, job_id: str) -> Iterator[threading.Event]:
        """An event that is set whenever the job changes; clear it before reading the job again."""
        changed = threading.Event()
        self.add_watcher(job_id, changed)
        try:
            yield changed
        finally:
            self.drop_watcher(job_id, changed)

    def add_watcher(self, job_id: str, watcher: Watcher) -> None:
        """Tells somebody whenever the job changes."""
        with self._lock:
            self._watchers.setdefault(job_id, set()).add(watcher)

    def drop_watcher(self, job_id: str, watcher: Watcher) -> None:
        """Tells them no longer."""
        with self._lock:
            watchers = self._watchers.get(job_id, set())
            watchers.discard(watcher)
            if not watchers:
                self._watchers.pop(job_id, None)

    def _listen(self) -> None:
        places = {self.reply_to.encode(): b"0"}
        with closing(ExclusiveConnection(self._connection)) as connection:
            while not self._closing.is_set():
                try:
                    self._hear(connection, places)
                except HxserveError as error:
                    _log.warning("listening is interrupted: %s", error.message)
                    self._closing.wait(_PAUSE_S)

    def _hear(self, connection: Connection, places: dict[bytes, bytes]) -> None:
        """Waits for what comes in the streams after `places`, and moves those on."""
        if _CHANGES not in places:
            newest = connection.execute("XREVRANGE", _CHANGES, "+", "-", "COUNT", 1)
            places[_CHANGES] = newest[0][0] if newest else b"0"
            self._look_again()
        found = connection.execute(
            "XREAD", "COUNT", 200, "BLOCK", _BLOCK_MS, "STREAMS", *places, *places.values()
        )
        for stream, entries in found or ():
            places[stream] = entries[-1][0]
            for _, (_, told) in entries:
                if stream == _CHANGES:
                    self._heard_change(told.decode())
                else:
                    self._heard_answers(told)

    def _heard_answers(self, batch: bytes) -> None:
        for sent_id, part, answer in msgpack.unpackb(batch):
            receiver = self._receivers.get(sent_id)
            if receiver is not None and receiver.put(part, Answer.unpack(answer)):
                self.forget(sent_id)

    def _look_again(self) -> None:
        """Wakes who began to watch before this could hear changes; one may have been missed."""
        with self._lock:
            for watchers in self._watchers.values():
                for changed in watchers:
                    changed.set()

    def _heard_change(self, job_id: str) -> None:
        with self._lock:
            for changed in self._watchers.get(job_id, ()):
                changed.set()
