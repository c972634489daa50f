"""gevent's own WSGI server, as it comes and with the bounds that the decision record asks for."""

from gevent import monkey

monkey.patch_all()

import signal  # noqa: E402  # everything that waits is imported after gevent has patched it
import socket  # noqa: E402
import sys  # noqa: E402
from collections.abc import Callable  # noqa: E402
from typing import Any  # noqa: E402

import gevent  # noqa: E402
from gevent import pywsgi  # noqa: E402
from gevent.event import Event  # noqa: E402
from gevent.pool import Pool  # noqa: E402

from benchmarks.wsgi_app import create_app  # noqa: E402

_SILENCE_LIMIT_S = 10.0
_FAREWELL_S = 5.0
_CONNECTIONS = 4000


class BoundedHandler(pywsgi.WSGIHandler):  # type: ignore[misc]  # gevent ships no types
    """Gives up on silent clients and refuses requests whose length can be read in two ways."""

    def handle(self) -> None:
        """Serves one connection; no read or write on it waits longer than the limit."""
        self.socket.settimeout(_SILENCE_LIMIT_S)
        super().handle()

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
            ValueError: when it is malformed, which is answered with 400.
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


class BoundedServer(pywsgi.WSGIServer):  # type: ignore[misc]  # gevent ships no types
    """Stops at once when nothing is running: connections that wait for a next request do not hold it."""

    handler_class = BoundedHandler

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self.idle: set[socket.socket] = set()
        self.stopping = Event()

    def stop(self, timeout: float | None = None) -> None:
        """Stops accepting, hangs up on idle connections and lets requests finish for `timeout` seconds."""
        self.stopping.set()
        for connection in self.idle:
            connection.shutdown(socket.SHUT_RD)
        super().stop(timeout)


def serve_app(app: Callable[..., Any], port: int, *, bounded: bool = True) -> None:
    """Serves until SIGTERM, then lets what is running finish."""
    listener = socket.create_server(("127.0.0.1", port), backlog=1024)
    if bounded:
        # Accepted sockets inherit this; without it the body waits for the acknowledgement of the head.
        listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    server_class = BoundedServer if bounded else pywsgi.WSGIServer
    server = server_class(listener, app, log=None, error_log=None, spawn=Pool(_CONNECTIONS))
    stopping = Event()
    gevent.signal_handler(signal.SIGTERM, stopping.set)
    server.start()
    stopping.wait()
    server.stop(timeout=_FAREWELL_S)


if __name__ == "__main__":
    serve_app(create_app(), int(sys.argv[1]), bounded=sys.argv[2] == "bounded")
