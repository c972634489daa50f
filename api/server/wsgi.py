"""Requests for a WSGI application: each in a greenlet of its own, which may wait."""

import logging
import socket
from collections.abc import Callable, Iterable
from io import BufferedReader
from typing import TYPE_CHECKING, Any, Final

from gevent import pywsgi

from api.server.request import Body, Request

_WITHOUT_PREFIX: Final = ("CONTENT_TYPE", "CONTENT_LENGTH")
_PIECE_BYTES: Final = 64 * 1024
if TYPE_CHECKING:
    from _typeshed.wsgi import WSGIEnvironment

_log = logging.getLogger("api")

WSGI = Callable[[dict[str, Any], Callable[..., Any]], Iterable[bytes]]


def environ_of(request: Request) -> dict[str, Any]:
    """Return the WSGI environment of a request; reading its body may wait for the client."""
    environ: dict[str, Any] = {
        "REQUEST_METHOD": request.method,
        "SCRIPT_NAME": "",
        "PATH_INFO": request.path.encode("utf-8", "surrogateescape").decode("latin-1"),
        "QUERY_STRING": request.query,
        "SERVER_PROTOCOL": f"HTTP/{request.version}",
        "SERVER_NAME": request.host.partition(":")[0],
        "SERVER_PORT": request.host.partition(":")[2] or "80",
        "REMOTE_ADDR": str(request.client[0]) if request.client else "",
        "wsgi.version": (1, 0),
        "wsgi.url_scheme": "http",
        "wsgi.input_terminated": True,
        "wsgi.multithread": True,
        "wsgi.multiprocess": False,
        "wsgi.run_once": False,
    }
    for name, value in request.headers.items():
        if "_" not in name:  # would be taken for the same header with a hyphen
            environ[f"HTTP_{name.upper().replace('-', '_')}"] = value
    for name in _WITHOUT_PREFIX:
        if (value := environ.pop(f"HTTP_{name}", None)) is not None:
            environ[name] = value
    environ["wsgi.input"] = BufferedReader(Body(request))
    return environ


def request_of(environ: "WSGIEnvironment") -> Request:
    """Return the request of a WSGI environment, whichever server made it."""
    headers = {
        name.removeprefix("HTTP_").replace("_", "-").lower(): value
        for name, value in environ.items()
        if name.startswith("HTTP_") or name in _WITHOUT_PREFIX
    }
    request = Request((environ.get("REMOTE_ADDR", ""), 0), headers)
    request.method, request.query = environ["REQUEST_METHOD"], environ.get("QUERY_STRING", "")
    request.path = environ["PATH_INFO"].encode("latin-1").decode("utf-8", "replace")
    is_chunked = bool(environ.get("wsgi.input_terminated")) and "transfer-encoding" in headers
    request.content_length = None if is_chunked else int(environ.get("CONTENT_LENGTH") or 0)
    request.is_complete = request.content_length == 0

    def receive() -> None:
        left = _PIECE_BYTES if is_chunked else (request.content_length or 0) - request.received
        data = environ["wsgi.input"].read(min(left, _PIECE_BYTES))
        if not data and not is_chunked:
            raise OSError("the client left before the body was complete")
        request.add_body(data)
        request.is_complete = not data or request.received == request.content_length

    request.receive = receive
    return request


def answer_with_wsgi(application: WSGI, request: Request, client: socket.socket, silence_s: float) -> None:
    """Let a WSGI application answer a request.

    Raises:
        OSError: the client left, or takes nothing of the answer for `silence_s`.
    """
    _Responder(application, request, client, silence_s).handle_one_response()


def send_all(client: socket.socket, data: bytes, silence_s: float) -> None:
    """Send bytes, as long as the client takes some of them every `silence_s`.

    Raises:
        OSError: it left, or takes nothing.
    """
    client.settimeout(silence_s)
    for start in range(0, len(data), _PIECE_BYTES):
        client.sendall(memoryview(data)[start : start + _PIECE_BYTES])


class _Responder(pywsgi.WSGIHandler):  # type: ignore[misc] # gevent ships no types
    """The second half of gevent's handler: start_response, chunks, HEAD and errors; the head was parsed before."""

    def __init__(self, application: WSGI, request: Request, client: socket.socket, silence_s: float) -> None:
        self.application = application
        self.environ = environ_of(request)
        self.socket = client
        self.client_address = request.client
        self.request_version = f"HTTP/{request.version}"
        self.close_connection = False
        self.code = 0
        self.wsgi_input = Body(request)
        self._request = request
        self._silence_s = silence_s
        self._held: bytearray | None = None

    def handle_one_response(self) -> None:
        """Answer; the connection is not kept where the answer says so."""
        super().handle_one_response()
        if self.close_connection:
            self._request.keep_alive = False

    def start_response(self, status: str, headers: list[tuple[str, str]], exc_info: Any = None) -> Any:
        """Begin the answer."""
        if not self._request.keep_alive or not self._request.is_complete:
            headers = [*headers, ("Connection", "close")]
            self._request.keep_alive = False
        return super().start_response(status, headers, exc_info)

    def _write_with_headers(self, data: bytes) -> None:
        """Send head and body in one piece; gevent's own way takes a system call for each."""
        self._held = bytearray()
        try:
            super()._write_with_headers(data)
        finally:
            held, self._held = self._held, None
        self._sendall(held)

    def _sendall(self, data: bytes | bytearray) -> None:
        if self._held is not None:
            self._held += data
        else:
            send_all(self.socket, bytes(data), self._silence_s)
            self.response_length += len(data)

    def log_request(self) -> None:
        """Log nothing: the application logs its answers."""

    def handle_error(self, kind: Any, error: Any, traceback: Any) -> None:
        """Log what the application did not handle, and close; a client that left is no news."""
        self.close_connection = True
        if isinstance(error, OSError):
            return
        _log.error("an answer failed", exc_info=(kind, error, traceback))
        self._send_error_response_if_possible(500)
