"""The head of a request: bounded while it is read, and refused when it can be understood in two ways."""

import json
import re
from email.message import Message
from http import HTTPStatus
from typing import Final, Protocol

from api.protection import HEADERS

MOST_HEAD_BYTES: Final = 32 * 1024
_TOKEN: Final = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
"""Source: RFC 9110, section 5.6.2."""
_CODES: Final = {
    HTTPStatus.REQUEST_TIMEOUT: "request_timeout",
    HTTPStatus.REQUEST_URI_TOO_LONG: "address_too_long",
    HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE: "head_too_large",
}


_PROTECTION: Final = "".join(f"{name}: {value}\r\n" for name, value in HEADERS.items())


class HeadTooLargeError(ValueError):
    """The head of a request has more bytes or lines than are read."""


class Lines(Protocol):
    """What a head is read from."""

    def readline(self, size: int = -1, /) -> bytes:
        """The next line, cut at `size` bytes."""
        ...


class BoundedLines:
    """The lines of one head, up to so many bytes in all."""

    def __init__(self, lines: Lines) -> None:
        self._lines = lines
        self._left = MOST_HEAD_BYTES

    def readline(self, size: int = -1, /) -> bytes:
        """The next line.

        Raises:
            HeadTooLargeError: the head is too large.
        """
        line = self._lines.readline(min(size, self._left + 1) if size >= 0 else self._left + 1)
        self._left -= len(line)
        if self._left < 0:
            raise HeadTooLargeError
        return line


def check_head(method: str, headers: Message, version: str) -> None:
    """Passes a head that every server and proxy understands in the same way.

    Raises:
        ValueError: it is another.
    """
    encodings, lengths = headers.get_all("transfer-encoding", []), headers.get_all("content-length", [])
    if version == "HTTP/0.9":
        raise ValueError("HTTP/0.9 is not spoken here")
    if not _TOKEN.fullmatch(method):
        raise ValueError("the method is malformed")
    # After a line without a colon Python's parser takes what follows for a body.
    if headers.defects or headers.get_payload():
        raise ValueError("a header line is malformed")
    if not all(_TOKEN.fullmatch(name) for name in headers):
        raise ValueError("a header's name is malformed")
    if encodings and (len(encodings) > 1 or encodings[0].lower() != "chunked"):
        raise ValueError("the transfer encoding is not understood; send chunked or none")
    if len(lengths) > 1 or not all(length.isascii() and length.isdigit() for length in lengths):
        raise ValueError("the content length is ambiguous; send one decimal number")
    if len(headers.get_all("host", [])) > 1:
        raise ValueError("there is more than one host; send one")


def refusal(status: HTTPStatus, detail: str) -> bytes:
    """The whole answer to a request whose head is refused, after which the connection is closed."""
    code = _CODES.get(status, "bad_request")
    body = json.dumps(
        {
            "type": f"urn:hxserve:problem:{code}",
            "title": status.phrase,
            "status": int(status),
            "detail": detail,
            "code": code,
            "retryable": status is HTTPStatus.REQUEST_TIMEOUT,
            "error": detail,
        }
    ).encode()
    head = (
        f"HTTP/1.1 {int(status)} {status.phrase}\r\nConnection: close\r\nContent-Type: application/problem+json\r\n"
        f"{_PROTECTION}Content-Length: {len(body)}\r\n\r\n"
    )
    return head.encode("ascii") + body
