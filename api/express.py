"""Connections whose requests repeat, served together: one greenlet reads what all of them sent.

A program that has crops classified sends request after request with the same head on one connection. Waking a
greenlet for each of them, and again for its answer, costs more processor time than everything that is decided about
it. So such a connection's own greenlet rests here. What has come on all connections is read in one go, and an
answer is written where it is heard. Whatever is not a plain request with a known head, not answered in time, or
refused, is left to the connection's own greenlet, which may wait.
"""

import os
import socket
import time
from collections import deque
from collections.abc import Callable, MutableMapping
from contextlib import closing
from functools import partial
from io import RawIOBase
from typing import Any, Final

import gevent
from gevent.event import AsyncResult, Event

from api.bursts import Asked, Bursts
from api.repeated import LONGEST_HEAD, RepeatedCalls

_PIECE_BYTES: Final = 4096
_LOOK_EVERY_S: Final = 0.1
_BURST: Final = 64
"""After so many requests read in one go, others get their turn."""


class Express:
    """The connections that rest here, and the greenlet that reads what comes on them."""

    def __init__(
        self,
        calls: RepeatedCalls,
        bursts: Bursts,
        idle: MutableMapping[socket.socket, None],
        stopping: Event,
        silence_s: float,
    ) -> None:
        """Begins to serve, nobody yet.

        Args:
            calls: the heads that are known.
            bursts: sends what is asked, and makes the responses.
            idle: where the connections stand on which nothing is asked; the longest idle first.
            stopping: is set when nobody is to ask any more.
            silence_s: longest wait for a client that sends nothing.
        """
        self._calls = calls
        self._bursts = bursts
        self._idle = idle
        self._stopping = stopping
        self._silence_s = silence_s
        self._ready: deque[_Connection] = deque()
        self._something_came = Event()
        self._served: dict[_Connection, None] = {}
        self._greenlets = [gevent.spawn(self._read), gevent.spawn(self._look_around)]

    def stop(self) -> None:
        """Serves nobody any longer; call when all connections are gone."""
        gevent.killall(self._greenlets)

    def serve(self, client: socket.socket, came: bytes, send: Callable[[bytes], None]) -> bytes:
        """Serves a connection for as long as its requests have heads that are known.

        Args:
            client: the connection.
            came: what was read of it and not answered.
            send: sends all of an answer, and may wait.

        Returns:
            What came last and is to be understood by others; nothing when the client has left.

        Raises:
            TimeoutError: nothing came for too long.
            OSError: the client is gone.
        """
        connection = _Connection(client, self._note, self._deliver)
        connection.came = came
        self._served[connection] = None
        self._idle[client] = None
        connection.is_ready = True
        self._note(connection)
        try:
            with closing(connection):
                while (act := connection.wake.get()) is not None:
                    # Until that is sent the connection counts as woken, so that nobody answers again.
                    send(act())
                    connection.wake = AsyncResult()
                    self._await_next(connection)
        finally:
            del self._served[connection]
            self._idle.pop(client, None)
        return connection.came

    def _note(self, connection: "_Connection") -> None:
        if not self._ready:
            self._something_came.set()
        self._ready.append(connection)

    def _read(self) -> None:
        while True:
            self._something_came.wait()
            self._something_came.clear()
            taken = (self._take(self._ready.popleft()) for _ in range(min(_BURST, len(self._ready))))
            self._bursts.ask([asked for asked in taken if asked is not None])
            if self._ready:
                self._something_came.set()
                gevent.sleep(0)

    def _take(self, connection: "_Connection") -> Asked | None:
        """Reads what came on a connection; what it asks, if that is whole."""
        connection.is_ready = False
        if connection.asked is not None or not connection.receive():
            return None
        came = connection.came
        end = came.find(b"\r\n\r\n", 0, LONGEST_HEAD) + 4
        call = self._calls.find(came[:end]) if end >= 4 else None
        if call is not None:
            connection.room = max(_PIECE_BYTES, end + call.length)
        if call is None or len(came) > end + call.length:
            connection.leave()
        elif len(came) == end + call.length:
            self._idle.pop(connection.client, None)
            connection.came = b""
            connection.asked = Asked(call, came[end:], connection.deliver)
        else:
            connection.listen()
        return connection.asked

    def _deliver(self, connection: "_Connection", asked: Asked, response: bytes | None) -> None:
        """Writes the response to what a connection asked, or leaves it to the connection's greenlet to say why not."""
        if connection.asked is not asked or connection.wake.ready():
            return
        if response is None:
            connection.call(partial(self._bursts.answer, asked))
            return
        rest = connection.write(response)
        if rest:
            connection.call(lambda: rest)
        else:
            self._await_next(connection)

    def _await_next(self, connection: "_Connection") -> None:
        connection.asked = None
        connection.since = time.monotonic()
        if self._stopping.is_set():
            connection.leave()
            return
        self._idle[connection.client] = None
        connection.listen()

    def _look_around(self) -> None:
        """Wakes connections whose clients wait no longer for an answer, or have kept silent for too long."""
        while True:
            gevent.sleep(_LOOK_EVERY_S)
            now = time.monotonic()
            for connection in list(self._served):
                if connection.wake.ready():
                    continue
                if connection.asked is not None:
                    if connection.asked.is_late(now):
                        connection.call(partial(self._bursts.answer, connection.asked))
                elif connection.came:
                    if now - connection.since > _LOOK_EVERY_S:
                        connection.leave()  # the rest of a request is waited for elsewhere
                elif now - connection.since > self._silence_s:
                    connection.wake.set_exception(TimeoutError())


class _Connection:
    """A connection that rests: what came of its next request, and what it asked."""

    def __init__(
        self,
        client: socket.socket,
        note: Callable[["_Connection"], None],
        deliver: Callable[["_Connection", Asked, bytes | None], None],
    ) -> None:
        self.client = client
        self.deliver: Callable[[Asked, bytes | None], None] = partial(deliver, self)
        self.came = b""
        self.asked: Asked | None = None
        self.since = time.monotonic()
        self.room = _PIECE_BYTES
        """Most bytes to read at once: a request like the one before. Room for more costs time, used or not."""
        self.is_ready = False
        """Whether it stands among those that are to be read."""
        self.wake: AsyncResult = AsyncResult()
        """What the connection's own greenlet is to do: call something and send what it gives, or leave (None)."""
        self._note = note
        self._descriptor = client.fileno()
        self._readable = gevent.get_hub().loop.io(self._descriptor, 1)

    def close(self) -> None:
        """Looks at the connection no longer."""
        self._readable.stop()
        self._readable.close()

    def listen(self) -> None:
        """Notes the connection when more comes."""
        if not self._readable.active:
            self._readable.start(self._came)

    def _came(self) -> None:
        if self.asked is not None:  # the next request, before this one is answered: later
            self._readable.stop()
        elif not self.is_ready and not self.wake.ready():
            self.is_ready = True
            self._note(self)

    def receive(self) -> bool:
        """Reads what there is; says whether that is anything to look at."""
        if self.wake.ready():
            return False
        try:
            data = os.read(self._descriptor, self.room)
        except BlockingIOError:
            if self.came:
                return True
            self.listen()
            return False
        except OSError:
            data = b""
        if not data:
            self.came = b""
            self.leave()
            return False
        self.came = self.came + data if self.came else data
        return True

    def write(self, answer: bytes) -> bytes:
        """Writes as much as the connection takes; gives the rest."""
        try:
            written = os.write(self._descriptor, answer)
        except BlockingIOError:
            return answer
        except OSError:
            self.leave()
            return b""
        return answer[written:]

    def call(self, act: Callable[[], bytes]) -> None:
        """Lets the connection's own greenlet send what `act` gives."""
        self._readable.stop()
        self.wake.set(act)

    def leave(self) -> None:
        """Ends the rest of the connection's own greenlet."""
        self._readable.stop()
        self.wake.set(None)


class Resumed(RawIOBase):
    """What comes on a connection, after what was read of it and given back."""

    def __init__(self, client: socket.socket, given_back: bytes) -> None:
        self._client = client
        self._given_back = given_back

    def readable(self) -> bool:
        """It is."""
        return True

    def readinto(self, buffer: Any) -> int:
        """The next bytes."""
        if not self._given_back:
            return self._client.recv_into(buffer)
        count = min(len(buffer), len(self._given_back))
        buffer[:count], self._given_back = self._given_back[:count], self._given_back[count:]
        return count
