"""gevent's WSGI server, with bounds on what a client may do to it. Import after gevent has patched the process."""

import errno
import logging
import socket
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from email.message import Message
from http import HTTPStatus
from io import BufferedReader
from typing import Any, Final

import gevent
from gevent import pywsgi
from gevent.event import Event
from gevent.pool import Pool

from api.bursts import Bursts
from api.express import Express, Resumed
from api.heads import BoundedLines, HeadTooLargeError, Lines, check_head, refusal
from api.repeated import LONGEST_HEAD, RepeatedCalls

_FAREWELL_S: Final = 5.0
_BACKLOG: Final = 1024
_PIECE_BYTES: Final = 64 * 1024
_LEAST_BYTES_PER_S: Final = 4 * 1024
"""A client that sends a body more slowly than this, after its time of silence, is given up."""
_SPARE: Final = 50
"""One of so many connections is kept free: before the last are used up, the longest idle is hung up on."""
_TOO_SLOW: Final = "the client is too slow"
_GONE: Final = (errno.EPIPE, errno.ECONNRESET, errno.ENOTCONN, errno.ETIMEDOUT, "timed out", _TOO_SLOW)
"""How errors of clients that left or stopped reading begin; they are no news to anybody."""
_log = logging.getLogger("api")


@contextmanager
def _at_most(seconds: float) -> Iterator[None]:
    """Interrupts what waits longer for a client.

    Raises:
        TimeoutError: it did.
    """
    with gevent.Timeout(seconds, TimeoutError(_TOO_SLOW)):
        yield


class _BoundedInput(pywsgi.Input):  # type: ignore[misc] # gevent ships no types
    """A body that comes in time or not at all."""

    __slots__ = ("is_broken", "silence_s")

    def read(self, length: int | None = None) -> bytes:
        """The next bytes, at most `length`, or all."""
        unread = (self.content_length or 0) - self.position if not self.chunked_input else _PIECE_BYTES
        wanted = min(length, unread) if length is not None and length >= 0 else unread
        with _at_most(self.silence_s + max(0, wanted) / _LEAST_BYTES_PER_S):
            body: bytes = super().read(length)
        return body

    def readline(self, size: int | None = None) -> bytes:
        """The next line."""
        with _at_most(self.silence_s):
            line: bytes = super().readline(size)
        return line

    def _discard(self) -> None:
        """Reads what the application did not want, for a while, so that the client gets to read the answer."""
        try:
            with _at_most(_FAREWELL_S):
                super()._discard()
        except TimeoutError:
            self.is_broken = True
            raise


class BoundedHandler(pywsgi.WSGIHandler):  # type: ignore[misc] # gevent ships no types
    """Gives up on silent and slow clients, and refuses requests that can be understood in two ways."""

    ignored_socket_errors = _GONE
    wsgi_input: Any = None
    rfile: Any
    _held: bytearray | None = None
    _failure: OSError | None = None
    _was_left = False
    """Whether the next request is one that could not be served together with others."""

    def handle(self) -> None:
        """Serves one connection; no read or write on it waits longer than the limit."""
        self.socket.settimeout(self.server.silence_s)
        with suppress(OSError):  # the client left before it was refused
            super().handle()

    def _write_with_headers(self, data: bytes) -> None:
        """Sends head and body in one piece; gevent's own way takes a system call for each."""
        self._held = bytearray()
        try:
            super()._write_with_headers(data)
        finally:
            held, self._held = self._held, None
        self._sendall(held)

    def _sendall(self, data: bytes | bytearray) -> None:
        if self._held is not None:
            self._held += data
        elif len(data) <= _PIECE_BYTES:
            super()._sendall(data)
        else:  # the socket's limit is for the whole of what it is given
            for start in range(0, len(data), _PIECE_BYTES):
                super()._sendall(memoryview(data)[start : start + _PIECE_BYTES])

    def read_requestline(self) -> str:
        """Waits for the next request; meanwhile the server may hang up when it stops or needs the room."""
        if self.server.stopping.is_set():
            return ""
        if self._failure is not None:
            raise self._failure
        self.server.idle[self.socket] = None
        try:
            with _at_most(self.server.silence_s):
                line: str = super().read_requestline()
        finally:
            self.server.idle.pop(self.socket, None)
        return line

    def MessageClass(self, lines: Lines, *args: Any) -> Message:  # noqa: N802 gevent's name
        """The headers of a request."""
        message: Message = super().MessageClass(BoundedLines(lines), *args)
        return message

    def read_request(self, raw_requestline: str) -> bool:
        """Reads the head of a request.

        Raises:
            ValueError: it is malformed, which is answered with 400.
            TimeoutError: it did not come in time.
        """
        with _at_most(self.server.silence_s):
            if not super().read_request(raw_requestline):
                return False
        check_head(self.command, self.headers, self.request_version)
        if self.headers.get("transfer-encoding") is not None or self.server.stopping.is_set():
            self.close_connection = True
        return True

    def get_environ(self) -> dict[str, Any]:
        """The WSGI environment of a request, with a body that is bounded in time."""
        environ: dict[str, Any] = super().get_environ()
        body = self.wsgi_input
        bounded = _BoundedInput(body.rfile, body.content_length, body.socket, body.chunked_input)
        bounded.silence_s, bounded.is_broken = self.server.silence_s, False
        environ["wsgi.input"] = self.wsgi_input = bounded
        return environ

    def handle_one_request(self) -> Any:
        """Serves one request; those with a head that is known are served together, with others.

        An address that is too long is refused like all that is malformed.
        """
        head = self._peek_head()
        if head and not self._was_left and self.server.repeated.find(head):
            self._ride_express()
            return True
        self._was_left = False
        outcome = super().handle_one_request()
        if head and outcome is True and self.code == HTTPStatus.OK:
            self.server.repeated.learn(head, self.environ)
        if isinstance(outcome, tuple) and outcome[0] == "414":
            return _refuse(HTTPStatus.REQUEST_URI_TOO_LONG, "the address is too long; send at most 8 kB")
        return outcome

    def _peek_head(self) -> bytes:
        """The head of the next request, left where it is; empty if it is not plainly there.

        This reads once, so the socket's own limit suffices.
        """
        if self.server.express is None or self.server.stopping.is_set() or self._failure is not None:
            return b""
        self.server.idle[self.socket] = None
        try:
            seen: bytes = self.rfile.peek()
        except OSError as error:
            self._failure = error  # the ordinary way says so
            return b""
        finally:
            self.server.idle.pop(self.socket, None)
        return seen[: seen.find(b"\r\n\r\n", 0, LONGEST_HEAD) + 4] if b"\r\n\r\n" in seen else b""

    def _ride_express(self) -> None:
        """Rests while others serve this connection, and goes on with what they could not make out."""
        came = self.rfile.read(len(self.rfile.peek()))
        self._was_left = True
        try:
            came = self.server.express.serve(self.socket, came, self._sendall)
        except TimeoutError as error:
            self._failure, came = error, b""
        self.rfile = BufferedReader(Resumed(self.socket, came))

    def handle_one_response(self) -> None:
        """Answers one request; after a body that was not read to its end the connection is closed."""
        super().handle_one_response()
        body = self.wsgi_input
        if body._chunked_input_error or (
            not body.chunked_input and body.position < (body.content_length or 0)
        ):
            self.close_connection = True

    def _handle_client_error(self, error: Exception) -> tuple[str, bytes] | None:
        """What is malformed is refused; what was sent is not logged, for it may hold a token."""
        _log.info("a request from %s is refused: %s", self.client_address, type(error).__name__)
        if isinstance(error, TimeoutError):
            return _refuse(HTTPStatus.REQUEST_TIMEOUT, "the head did not come in time; send it in one piece")
        if isinstance(error, OSError):
            return None
        if isinstance(error, HeadTooLargeError) or not isinstance(error, ValueError):
            detail = "the head is too large; send at most 100 headers and 32 kB"
            return _refuse(HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE, detail)
        return _refuse(HTTPStatus.BAD_REQUEST, "the request is malformed; send HTTP/1.1")


def _refuse(status: HTTPStatus, detail: str) -> tuple[str, bytes]:
    return str(int(status)), refusal(status, detail)


class BoundedServer(pywsgi.WSGIServer):  # type: ignore[misc] # gevent ships no types
    """A server that stops as soon as nothing is running: idle connections do not hold it, nor keep others out."""

    handler_class = BoundedHandler

    def __init__(
        self,
        app: Callable[..., Any],
        host: str,
        port: int,
        *,
        connections: int = 12_000,
        silence_s: float = 10.0,
        bursts: Bursts | None = None,
    ) -> None:
        """Binds the address.

        Args:
            app: the WSGI application.
            host: name or address to listen on.
            port: 0 for any.
            connections: most at a time.
            silence_s: longest wait for a client that sends or takes nothing, and for the head of a request.
            bursts: what answers requests whose heads are known, together; without it each is served by itself.

        Raises:
            OSError: it cannot be had.
        """
        listener = socket.create_server((host, port), backlog=_BACKLOG)
        # Accepted sockets inherit this; without it each answer's body waits 40 ms for its head's acknowledgement.
        listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        super().__init__(listener, app, log=None, error_log=_log, spawn=Pool(connections))
        self.silence_s = silence_s
        self.idle: dict[socket.socket, None] = {}
        self.stopping = Event()
        self.repeated = RepeatedCalls()
        self.express = (
            Express(self.repeated, bursts, self.idle, self.stopping, silence_s)
            if bursts is not None
            else None
        )
        self._spare = max(1, connections // _SPARE)

    def handle(self, sock: socket.socket, address: Any) -> None:
        """Serves a new connection; when few more fit, the one that is idle for longest makes room."""
        if self.pool.free_count() < self._spare and self.idle:
            _hang_up(next(iter(self.idle)))
        super().handle(sock, address)

    def stop(self, timeout: float | None = _FAREWELL_S) -> None:
        """Accepts no more, hangs up on idle connections and lets requests finish for `timeout` seconds."""
        self.stopping.set()
        for connection in self.idle:
            _hang_up(connection)
        super().stop(timeout)
        if self.express is not None:
            self.express.stop()


def _hang_up(connection: socket.socket) -> None:
    with suppress(OSError):  # the client was faster
        connection.shutdown(socket.SHUT_RD)
