"""Messages from Redis to this process: answers to its requests, and changes of jobs.

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

from services.errors import HxserveError, RedisUnavailableError
from services.store import keys
from services.store.connection import Connection, ExclusiveConnection

_CHANGES: Final = keys.CHANGES.encode()
_BLOCK_MS: Final = 5000
_PAUSE_S: Final = 0.2
_log = logging.getLogger(__name__)


class Receiver(Protocol):
    """Takes the answers to a request."""

    def put(self, part: int, answer: bytes) -> bool:
        """Take the packed answer to one part, without waiting; return whether it was the last."""


class Subscriber(Protocol):
    """Is notified of changes: a `threading.Event`, or an object with the same method."""

    def set(self) -> None:
        """Note a change, without waiting."""


class Listener:
    """Receives answers and changes in a thread of its own: `start`, `stop` the waits, `close`."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self.reply_to: Final = keys.replies_key(secrets.token_hex(8))
        self._receivers: dict[str, Receiver] = {}
        self._subscribers: dict[str, set[Subscriber]] = {}
        self._lock = threading.Lock()
        self._stopping = threading.Event()
        self._closing = threading.Event()
        self._thread = threading.Thread(target=self._listen, name="listener", daemon=True)

    def start(self) -> None:
        """Start listening."""
        self._thread.start()

    def stop(self) -> None:
        """End all waits for changes; answers are received until `close`."""
        self._stopping.set()
        self._wake_all()

    def close(self) -> None:
        """Stop listening; the thread has ended when this returns, so that its connection may be closed."""
        self.stop()
        self._closing.set()
        with suppress(RedisUnavailableError):  # while Redis is away the thread does not sleep in it
            self._connection.client.xadd(self.reply_to, {"batch": msgpack.packb([])})
            self._thread.join(_BLOCK_MS / 1000)
            self._connection.client.delete(self.reply_to)
        self._thread.join(_BLOCK_MS / 1000)

    @property
    def is_stopping(self) -> bool:
        """True once waits for changes should end."""
        return self._stopping.is_set()

    def expect(self, sent_id: str, receiver: Receiver) -> None:
        """Pass the answers to the batch of this id to `receiver`; call before the batch is sent."""
        self._receivers[sent_id] = receiver

    def forget(self, sent_id: str) -> None:
        """Drop answers to the batch of this id."""
        self._receivers.pop(sent_id, None)

    @contextmanager
    def subscribed(self, job_id: str) -> Iterator[threading.Event]:
        """Yield an event that is set whenever the job changes; clear it before reading the job again."""
        changed = threading.Event()
        self.subscribe(job_id, changed)
        try:
            yield changed
        finally:
            self.unsubscribe(job_id, changed)

    def subscribe(self, job_id: str, subscriber: Subscriber) -> None:
        """Notify `subscriber` of each change of a job."""
        with self._lock:
            self._subscribers.setdefault(job_id, set()).add(subscriber)

    def unsubscribe(self, job_id: str, subscriber: Subscriber) -> None:
        """Stop notifying `subscriber`."""
        with self._lock:
            subscribers = self._subscribers.get(job_id, set())
            subscribers.discard(subscriber)
            if not subscribers:
                self._subscribers.pop(job_id, None)

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
        """Wait for entries after `places` in the streams, handle them and advance `places`."""
        if _CHANGES not in places:
            newest = connection.execute("XREVRANGE", _CHANGES, "+", "-", "COUNT", 1)
            places[_CHANGES] = newest[0][0] if newest else b"0"
            self._wake_all()  # a change may have been missed before the stream was read
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
            if receiver is not None and receiver.put(part, answer):
                self.forget(sent_id)

    def _wake_all(self) -> None:
        with self._lock:
            for subscribers in self._subscribers.values():
                for changed in subscribers:
                    changed.set()

    def _heard_change(self, job_id: str) -> None:
        with self._lock:
            for changed in self._subscribers.get(job_id, ()):
                changed.set()
