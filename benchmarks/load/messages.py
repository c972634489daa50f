"""HTTP/1.1 messages as bytes: requests are built before the load, responses are parsed as cheaply as possible."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

_LENGTH = re.compile(rb"\r\ncontent-length:\s*(\d+)", re.IGNORECASE)
_CHUNKED = re.compile(rb"\r\ntransfer-encoding:\s*chunked", re.IGNORECASE)
_CLOSING = re.compile(rb"\r\nconnection:\s*close", re.IGNORECASE)
_BODILESS = {204, 304}
_NO_NUMBER = f"{0:020}"
UNNUMBERED = {"X-Request-Number": _NO_NUMBER}
"""The header that `renumber` changes."""


@dataclass(frozen=True, slots=True)
class Response:
    """A complete response: its status, head and body, and whether the server closes the connection after it."""

    status: int
    head: bytes
    body: bytes
    closing: bool


def build_request(
    path: str,
    body: bytes = b"",
    *,
    method: str = "POST",
    headers: Mapping[str, str] | None = None,
) -> bytes:
    """Return the bytes of a complete request; the content type of a body is `application/octet-stream` by default."""
    content = {"Content-Type": "application/octet-stream"} if body else {}
    lines = [f"{method} {path} HTTP/1.1", "Host: 127.0.0.1", f"Content-Length: {len(body)}"]
    lines += [f"{name}: {value}" for name, value in {**content, **(headers or {})}.items()]
    return "\r\n".join([*lines, "", ""]).encode("ascii") + body


def renumber(request: bytes, number: int) -> bytes:
    """Return a request that was built with `UNNUMBERED`, with another value of that header."""
    return request.replace(_NO_NUMBER.encode(), b"%020d" % number, 1)


class HttpWire:
    """The state of one connection of HTTP/1.1."""

    opening: Final = b""

    def __init__(self) -> None:
        self._received = b""

    @staticmethod
    def request(request: bytes) -> bytes:
        """Return what is to be sent of a request."""
        return request

    def receive(self, data: bytes) -> tuple[Response | None, bytes]:
        """Read what has arrived; return the response when it is complete, and what is to be sent now.

        Raises:
            ValueError: the bytes are no response.
        """
        received = self._received + data if self._received else data
        response = take_response(received)
        self._received = b"" if response else received
        return response, b""


def take_response(received: bytes) -> Response | None:
    """Return the response in `received`, or None while a part of it is missing.

    Raises:
        ValueError: the bytes are no HTTP response of a known length.
    """
    head_end = received.find(b"\r\n\r\n")
    if head_end < 0:
        return None
    if not received.startswith(b"HTTP/1."):
        raise ValueError(f"not an HTTP/1 response: {received[:40]!r}")
    status, body_start = int(received[9:12]), head_end + 4
    length = _LENGTH.search(received, 0, head_end)
    if status in _BODILESS:
        body = b""
    elif length is not None:
        body_end = body_start + int(length[1])
        if len(received) < body_end:
            return None
        body = received[body_start:body_end]
    elif _CHUNKED.search(received, 0, head_end):
        joined = _join_chunks(received, body_start)
        if joined is None:
            return None
        body = joined
    else:
        raise ValueError("a response without a length; this generator needs Content-Length or chunks")
    return Response(status, received[:head_end], body, _CLOSING.search(received, 0, head_end) is not None)


def _join_chunks(received: bytes, start: int) -> bytes | None:
    chunks: list[bytes] = []
    while True:
        line_end = received.find(b"\r\n", start)
        if line_end < 0:
            return None
        size = int(received[start:line_end].partition(b";")[0], 16)
        start = line_end + 2
        if len(received) < start + size + 2:
            return None
        if size == 0:
            return b"".join(chunks)
        chunks.append(received[start : start + size])
        start += size + 2
