"""A request as the parser delivers it: its head in memory, its body as it arrives."""

from collections.abc import Callable, Iterator
from http import HTTPStatus
from io import RawIOBase
from typing import Any, Final
from urllib.parse import unquote_to_bytes, urlsplit

from werkzeug.exceptions import ClientDisconnected
from werkzeug.http import parse_cookie

from services.errors import TooLargeError

_FORM_OF_TARGETS: Final = ("/", "http://", "https://")


class RefusedRequestError(Exception):
    """A request that is not read any further; the connection is closed after the answer."""

    def __init__(self, status: HTTPStatus, detail: str) -> None:
        super().__init__(detail)
        self.status = status
        self.detail = detail


class Headers:
    """The headers of a request; repeated ones are joined."""

    __slots__ = ("_values",)

    def __init__(self) -> None:
        self._values: dict[bytes, bytes] = {}

    def __len__(self) -> int:
        return len(self._values)

    def add(self, name: bytes, value: bytes) -> None:
        """Add a header.

        Raises:
            RefusedRequestError: it makes the request ambiguous.
        """
        name = name.lower()
        if name in self._values:
            if name == b"host":
                raise RefusedRequestError(HTTPStatus.BAD_REQUEST, "there is more than one host; send one")
            value = self._values[name] + (b"; " if name == b"cookie" else b",") + value
        self._values[name] = value

    def get(self, name: str) -> str | None:
        """Return a header's value, if it is there; any case of the name will do."""
        value = self._values.get(name.lower().encode("latin-1"))
        return None if value is None else value.decode("latin-1").strip()

    def items(self) -> Iterator[tuple[str, str]]:
        """Yield name, in lower case, and value of each header."""
        for name in self._values:
            text = name.decode("latin-1")
            yield text, self.get(text) or ""


class Request:
    """A request.

    The body is complete when `is_complete`; until then `receive` reads more of the connection, and may wait.
    """

    __slots__ = (
        "client",
        "content_length",
        "headers",
        "is_complete",
        "keep_alive",
        "length",
        "method",
        "parts",
        "path",
        "query",
        "receive",
        "received",
        "version",
    )

    def __init__(self, client: Any = None) -> None:
        self.client = client
        self.method = ""
        self.path = ""
        self.query = ""
        self.version = "1.1"
        self.headers = Headers()
        self.content_length: int | None = 0
        """Bytes of the body; None for a chunked one."""
        self.keep_alive = True
        self.is_complete = False
        self.parts: list[bytes] = []
        self.length = 0
        """Bytes of the body that have arrived and were not read."""
        self.received = 0
        """Bytes of the body that have arrived."""
        self.receive: Callable[[], None] = _never

    def complete_head(self, method: bytes, target: bytes, version: str, *, keep_alive: bool) -> None:
        """Take what the parser found in the request line, once all headers are there.

        Raises:
            RefusedRequestError: the request is none of HTTP/1.0 or 1.1 to this server.
        """
        if version not in {"1.1", "1.0"}:
            raise RefusedRequestError(HTTPStatus.BAD_REQUEST, "the request is malformed; send HTTP/1.1")
        address = target.decode("latin-1")
        if not address.startswith(_FORM_OF_TARGETS) and address != "*":
            raise RefusedRequestError(
                HTTPStatus.BAD_REQUEST, "the target is no path; send one that begins with /"
            )
        if not address.startswith("/") and address != "*":
            address = _within_host(address)
        path, _, self.query = address.partition("?")
        self.path = unquote_to_bytes(path).decode("utf-8", "replace") if "%" in path else path
        coding = self.headers.get("Transfer-Encoding")
        if coding is not None and coding.lower() != "chunked":
            raise RefusedRequestError(
                HTTPStatus.BAD_REQUEST, "the transfer encoding is not understood; send chunked or none"
            )
        self.content_length = None if coding else int(self.headers.get("Content-Length") or 0)
        self.method, self.version, self.keep_alive = method.decode("ascii"), version, keep_alive

    def add_body(self, data: bytes) -> None:
        """Keep bytes of the body until they are read."""
        self.parts.append(data)
        self.length += len(data)
        self.received += len(data)

    def take(self, most: int | None = None) -> bytes:
        """Remove and return up to `most` bytes of the body that have arrived."""
        whole = self.parts[0] if len(self.parts) == 1 else b"".join(self.parts)
        if most is None or most >= len(whole):
            self.parts, self.length = [], 0
            return whole
        self.parts, self.length = [whole[most:]], len(whole) - most
        return whole[:most]

    def body(self, most: int) -> bytes:
        """Return the whole body, of up to `most` bytes; may wait for the client unless `is_complete`.

        Raises:
            TooLargeError: it is larger.
            TimeoutError: the client was silent for too long.
            ClientDisconnected: the client left, or what it sent is malformed.
        """
        is_too_large = self.content_length is not None and self.content_length > most
        while not self.is_complete and not is_too_large:
            try:
                self.receive()
            except TimeoutError:
                raise
            except OSError as error:
                raise ClientDisconnected(str(error)) from None
            is_too_large = self.received > most
        if is_too_large:
            raise TooLargeError(f"the body is larger than {most} bytes; send it in several requests")
        return self.take()

    @property
    def cookies(self) -> dict[str, str]:
        """The cookies of the request."""
        header = self.headers.get("Cookie")
        return dict(parse_cookie(header)) if header else {}

    @property
    def host(self) -> str:
        """The host, with its port if it has one, that the client asked."""
        return self.headers.get("Host") or ""


def _within_host(address: str) -> str:
    """Return path and query of an absolute address.

    Raises:
        RefusedRequestError: it names no host.
    """
    try:
        _, host, path, query, _ = urlsplit(address)
    except ValueError:
        host = ""
    if not host:
        raise RefusedRequestError(HTTPStatus.BAD_REQUEST, "the target names no host; send a path")
    return f"{path or '/'}?{query}"


def _never() -> None:
    raise OSError("the request ended before its body was complete")


class Body(RawIOBase):
    """The body of a request as a stream; reading waits for the client."""

    def __init__(self, request: Request) -> None:
        super().__init__()
        self._request = request

    def readable(self) -> bool:
        """Return True."""
        return True

    def readinto(self, buffer: Any) -> int:
        """Read the next bytes.

        Raises:
            TimeoutError: the client was silent for too long.
            OSError: the client left, or what it sent is malformed.
        """
        request = self._request
        while not request.length and not request.is_complete:
            request.receive()
        data = request.take(len(buffer))
        buffer[: len(data)] = data
        return len(data)

    def _discard(self) -> None:
        """Do nothing: the connection decides about a body that was not read. pywsgi calls this after an answer."""
