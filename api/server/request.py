"""A request as the parser delivers it: its head in memory, its body as it arrives."""

from collections.abc import Callable
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


class Request:
    """A request; its headers are named in lower case.

    The body is complete when `is_complete`; until then `receive` reads more of the connection, and may wait.
    """

    # Defaults of the class, since most requests leave most of these as they are.
    method = ""
    path = ""
    query = ""
    version = "1.1"
    content_length: int | None = 0
    """Bytes of the body; None for a chunked one."""
    keep_alive = True
    is_complete = False
    length = 0
    """Bytes of the body that have arrived and were not read."""
    received = 0
    """Bytes of the body that have arrived."""

    def __init__(self, client: Any, headers: dict[str, str]) -> None:
        self.client = client
        self.headers = headers
        self.parts: list[bytes] = []
        self.receive: Callable[[], None] = _never

    @classmethod
    def of_head(
        cls, client: Any, method: bytes, target: bytes, version: str, fields: list[tuple[bytes, bytes]]
    ) -> "Request":
        """Return the request that a parser found.

        Args:
            client: the address that it comes from.
            method: as in the request line.
            target: as in the request line.
            version: of HTTP, without its name.
            fields: names and values of the headers.

        Raises:
            RefusedRequestError: it is ambiguous, or none of HTTP/1.0 or 1.1 to this server.
        """
        request = cls(client, _headers_of(fields))
        if version not in {"1.1", "1.0"}:
            raise RefusedRequestError(HTTPStatus.BAD_REQUEST, "the request is malformed; send HTTP/1.1")
        address = target.decode("latin-1")
        if not address.startswith(_FORM_OF_TARGETS) and address != "*":
            raise RefusedRequestError(
                HTTPStatus.BAD_REQUEST, "the target is no path; send one that begins with /"
            )
        if not address.startswith("/") and address != "*":
            address = _within_host(address)
        path, _, request.query = address.partition("?")
        request.path = unquote_to_bytes(path).decode("utf-8", "replace") if "%" in path else path
        coding = request.headers.get("transfer-encoding")
        if coding is None:
            request.content_length = int(request.headers.get("content-length") or 0)
        elif coding.lower() == "chunked":
            request.content_length = None
        else:
            raise RefusedRequestError(
                HTTPStatus.BAD_REQUEST, "the transfer encoding is not understood; send chunked or none"
            )
        request.method, request.version = method.decode("ascii"), version
        return request

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
        header = self.headers.get("cookie")
        return dict(parse_cookie(header)) if header else {}

    @property
    def host(self) -> str:
        """The host, with its port if it has one, that the client asked."""
        return self.headers.get("host", "")


def _headers_of(fields: list[tuple[bytes, bytes]]) -> dict[str, str]:
    """Return headers by their names in lower case; repeated ones are joined.

    Raises:
        RefusedRequestError: there are several hosts.
    """
    headers: dict[str, str] = {}
    for raw_name, raw_value in fields:
        name, value = raw_name.lower().decode("latin-1"), raw_value.decode("latin-1").strip()
        if name in headers:
            if name == "host":
                raise RefusedRequestError(HTTPStatus.BAD_REQUEST, "there is more than one host; send one")
            value = f"{headers[name]}{'; ' if name == 'cookie' else ','}{value}"
        headers[name] = value
    return headers


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
