"""gevent's WSGI server, with bounds on what a client may do to it. Import after gevent has patched the process."""

import logging
import socket
from collections.abc import Callable
from typing import Any, Final

from gevent import pywsgi
from gevent.event import Event
from gevent.pool import Pool

_SILENCE_LIMIT_S: Final = 10.0
_FAREWELL_S: Final = 5.0
_CONNECTIONS: Final = 12_000
_BACKLOG: Final = 1024
_log = logging.getLogger("api")


class BoundedHandler(pywsgi.WSGIHandler):  # type: ignore[misc] # gevent ships no types
    """Gives up on silent clients and refuses requests whose length can be read in two ways."""

    _held: bytearray | None = None

    def handle(self) -> None:
        """Serves one connection; no read or write on it waits longer than the limit."""
        self.socket.settimeout(_SILENCE_LIMIT_S)
        super().handle()

    def _write_with_headers(self, data: bytes) -> None:
        """Sends head and body in one piece; gevent's own way takes a system call for each."""
        self._held = bytearray()
        try:
            super()._write_with_headers(data)
        finally:
            held, self._held = self._held, None
        super()._sendall(held)

    def _sendall(self, data: bytes) -> None:
        if self._held is None:
            super()._sendall(data)
        else:
            self._held += data

    def read_requestline(self) -> str:
        """Waits for the next request; meanwhile the server may hang up when it stops."""
        if self.server.stopping.is_set():
            return ""
        self.server.idle.add(self.socket)
        try:
            line: str = super().read_requestline()
        finally:
            self.server.idle.discard(self.socket)
        return line

    def read_request(self, raw_requestline: str) -> bool:
        """Reads the head of a request.

        Raises:
            ValueError: it is malformed, which is answered with 400.
        """
        if not super().read_request(raw_requestline):
            return False
        encoding = self.headers.get("transfer-encoding")
        lengths = self.headers.get_all("content-length", [])
        if self.request_version == "HTTP/0.9":
            raise ValueError("HTTP/0.9 is not spoken here")
        if encoding is not None and encoding.lower() != "chunked":
            raise ValueError(f"unknown transfer encoding {encoding!r}")
        if len(lengths) > 1 or not all(length.isascii() and length.isdigit() for length in lengths):
            raise ValueError(f"ambiguous content length {lengths!r}")
        if encoding is not None or self.server.stopping.is_set():
            self.close_connection = True
        return True


class BoundedServer(pywsgi.WSGIServer):  # type: ignore[misc] # gevent ships no types
    """A server that stops as soon as nothing is running: idle connections do not hold it."""

    handler_class = BoundedHandler

    def __init__(self, app: Callable[..., Any], host: str, port: int) -> None:
        """Binds the address.

        Raises:
            OSError: it cannot be had.
        """
        listener = socket.create_server((host, port), backlog=_BACKLOG)
        # Accepted sockets inherit this; without it each answer's body waits 40 ms for its head's acknowledgement.
        listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        super().__init__(listener, app, log=None, error_log=_log, spawn=Pool(_CONNECTIONS))
        self.idle: set[socket.socket] = set()
        self.stopping = Event()

    def stop(self, timeout: float | None = _FAREWELL_S) -> None:
        """Accepts no more, hangs up on idle connections and lets requests finish for `timeout` seconds."""
        self.stopping.set()
        for connection in self.idle:
            connection.shutdown(socket.SHUT_RD)
        super().stop(timeout)
