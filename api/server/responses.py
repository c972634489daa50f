"""Answers as bytes."""

import time
from email.utils import formatdate
from functools import lru_cache
from http import HTTPStatus

Headers = tuple[tuple[str, str], ...]
"""Names and values; the server adds Date, Content-Length and Connection."""


def whole_response(status: int, headers: Headers, body: bytes, *, keep_alive: bool) -> bytes:
    """Return an answer as it is sent."""
    return b"%s%s%sContent-Length: %d\r\n\r\n%s" % (
        _head(status, headers),
        _date_line(int(time.time())),
        b"" if keep_alive else b"Connection: close\r\n",
        len(body),
        body,
    )


@lru_cache(256)
def _head(status: int, headers: Headers) -> bytes:
    lines = [f"HTTP/1.1 {status} {HTTPStatus(status).phrase}"]
    lines += [f"{name}: {value}" for name, value in headers if name.lower() != "content-length"]
    return "".join(f"{line}\r\n" for line in lines).encode("latin-1")


@lru_cache(1)
def _date_line(now: int) -> bytes:
    return b"Date: %s\r\n" % formatdate(now, usegmt=True).encode()
