"""The server: accepts connections, reads all of them in one greenlet, and hangs up on silent clients."""

import logging
import resource
import socket
import time
from collections import deque
from collections.abc import Callable
from http import HTTPStatus
from typing import Any, Final, Protocol

import gevent
from gevent.event import Event

from api.server.connection import Connection
from api.server.request import RefusedRequestError, Request
from api.server.responses import Headers
from api.server.wsgi import WSGI

_FAREWELL_S: Final = 5.0
_BACKLOG: Final = 1024
_CHECK_EVERY_S: Final = 0.1
_AT_ONCE: Final = 64
"""After this many connections have been read at most, other greenlets get their turn."""
_SPARE: Final = 50
"""One of this many connections is kept free: before the last are used up, the longest idle is hung up on."""
_RETRY_S: Final = 0.1
RESERVED: Final = 1_500
"""File descriptors for other uses than clients: Redis (up to 1,024 connections), files, libraries."""
_log = logging.getLogger("api")

Respond = Callable[[int, Headers, bytes], None]
"""Sends an answer: status, headers and body."""


class Route(Protocol):
    """Requests that are answered without WSGI."""

    def is_immediate(self, request: Request) -> bool:
        """Return whether `answer` need not wait for anything."""

    def answer(self, request: Request, respond: Respond) -> None:
        """Have a request answered; `respond` is called then or later, by any greenlet."""


class Application(Protocol):
    """What the server serves."""

    wsgi: WSGI

    def find(self, request: Request) -> Route | None:
        """Return what answers a request; None where WSGI does."""

    def refusal(self, status: HTTPStatus, detail: str) -> tuple[Headers, bytes]:
        """Return the answer to a request that cannot be read: headers and body."""


class Server:
    """Serves until it is stopped. Import after gevent has patched the process."""

    def __init__(
        self,
        application: Application,
        host: str,
        port: int,
        *,
        connections: int = 12_000,
        silence_s: float = 10.0,
    ) -> None:
        """Bind the address.

        Args:
            application: what answers requests.
            host: name or address to listen on.
            port: 0 for any.
            connections: most at a time.
            silence_s: longest wait for a client that sends or takes nothing, and for the head of a request.

        Raises:
            OSError: the address is not available.
        """
        self.application = application
        self.silence_s = silence_s
        self.is_stopping = False
        self._listener = socket.create_server((host, port), backlog=_BACKLOG)
        self.port: int = self._listener.getsockname()[1]
        # Accepted sockets inherit this; without it each answer's body waits 40 ms for its head's acknowledgement.
        self._listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._most = connections
        self._spare = max(1, connections // _SPARE)
        self._connections: set[Connection] = set()
        self._idle: dict[Connection, None] = {}
        """Connections on which no request has begun, the longest idle first."""
        self._partial: dict[Connection, None] = {}
        """Connections on which a part of a request has come."""
        self._ready: deque[Connection] = deque()
        self._something_ready = Event()
        self._has_room = Event()
        self._has_room.set()
        self._greenlets: list[gevent.Greenlet] = []

    def start(self) -> None:
        """Begin to serve."""
        self._greenlets = [gevent.spawn(serve) for serve in (self._accept, self._read, self._check)]

    def stop(self, timeout_s: float = _FAREWELL_S) -> None:
        """Accept no more, hang up on idle connections and let requests finish for `timeout_s`."""
        self.is_stopping = True
        self._greenlets[0].kill()
        self._listener.close()
        until = time.monotonic() + timeout_s
        while self._connections and time.monotonic() < until:
            for connection in list(self._idle):
                connection.close()
            gevent.sleep(0.02)
        for connection in list(self._connections):
            connection.close()
        gevent.killall(self._greenlets)

    # What connections call.

    def note_ready(self, connection: Connection) -> None:
        """List a connection on which something has come."""
        connection.is_ready = True
        if not self._ready:
            self._something_ready.set()
        self._ready.append(connection)

    def wait_for(self, connection: Connection, *, is_idle: bool) -> None:
        """Note that a connection waits for its client: for a request, or for the rest of one."""
        waiting, other = (self._idle, self._partial) if is_idle else (self._partial, self._idle)
        other.pop(connection, None)
        if connection not in waiting:
            connection.since = time.monotonic()
            waiting[connection] = None

    def forget(self, connection: Connection) -> None:
        """Note that a connection no longer waits for its client."""
        self._idle.pop(connection, None)
        self._partial.pop(connection, None)

    def closed(self, connection: Connection) -> None:
        """Note that a connection is closed."""
        self.forget(connection)
        self._connections.discard(connection)
        self._has_room.set()

    @staticmethod
    def log_refusal(address: Any, refusal: RefusedRequestError) -> None:
        """Log a refusal without what was sent, which may hold a token."""
        _log.info("a request from %s is refused: %d", address, refusal.status)

    # What runs all the time.

    def _accept(self) -> None:
        while True:
            self._has_room.wait()
            try:
                client, address = self._listener.accept()
            except OSError as error:  # as with too many open files
                _log.warning("no connection can be accepted: %s", error.strerror)
                gevent.sleep(_RETRY_S)
                continue
            connection = Connection(client, address, self)
            self._connections.add(connection)
            self.wait_for(connection, is_idle=True)
            connection.listen()
            if len(self._connections) > self._most - self._spare and self._idle:
                next(iter(self._idle)).close()
            if len(self._connections) >= self._most:
                self._has_room.clear()

    def _read(self) -> None:
        while True:
            self._something_ready.wait()
            self._something_ready.clear()
            while self._ready:
                # Of a burst, the first half is sent on while the second is read.
                burst = min(2 * _AT_ONCE, len(self._ready))
                for half in filter(None, ((burst + 1) // 2, burst // 2)):
                    for _ in range(half):
                        self._receive(self._ready.popleft())
                    gevent.sleep(0)

    @staticmethod
    def _receive(connection: Connection) -> None:
        try:
            connection.receive()
        except Exception:  # noqa: BLE001 one connection's failure must not end the reading of all
            _log.exception("a connection is closed: reading it failed")
            connection.close()

    def _check(self) -> None:
        """Hang up on clients that are silent or slow."""
        while True:
            gevent.sleep(_CHECK_EVERY_S)
            now = time.monotonic()
            for connection in list(self._partial):
                if not connection.has_time(now, self.silence_s):
                    connection.give_up()
            while self._idle:
                connection = next(iter(self._idle))
                if connection.has_time(now, self.silence_s):
                    break
                connection.close()


def room_for(connections: int) -> int:
    """Raise the soft limit of open files so that `connections` clients fit; return the number that do."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    needed = connections + RESERVED
    reached = needed if hard == resource.RLIM_INFINITY else min(needed, hard)
    if soft != resource.RLIM_INFINITY and soft < reached:
        resource.setrlimit(resource.RLIMIT_NOFILE, (reached, hard))
    fitting = max(connections + reached - needed, connections // 100, 1)
    if fitting < connections:
        _log.warning(
            "%d connections are served instead of %d: the hard limit of open files is %d (ulimit -Hn)",
            fitting,
            connections,
            hard,
        )
    return fitting
