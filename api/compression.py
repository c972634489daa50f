"""Compression of request and response bodies."""

import io
import zlib
from typing import Final

import flask
from flask import Flask
from werkzeug.datastructures import Accept
from werkzeug.http import parse_accept_header

from api.server.request import Request
from services.errors import InvalidInputError, TooLargeError, UnsupportedMediaError

_WINDOW_BITS: Final = {"gzip": 31, "x-gzip": 31, "deflate": 15}
_OFFERED: Final = ("gzip", "deflate")
_MOST_MEMBERS: Final = 1000
_PIECE_BYTES: Final = 64 * 1024
_WORTH_BYTES: Final = 1024
"""Less is sent as it is."""


def read_body(request: Request, most: int) -> bytes:
    """Return the body of a request, decompressed; `most` bytes at most either way.

    Raises:
        InvalidInputError: it is not compressed as its header says, or not whole.
        TooLargeError: it is larger.
        UnsupportedMediaError: it is compressed in another way.
    """
    encoding = request.headers.get("content-encoding")
    return request.body(most) if encoding is None else decompress(request.body(most), encoding, most)


def decompress(body: bytes, encoding: str, most: int) -> bytes:
    """Return what a body was before it was compressed; a gzip body may have several members (RFC 1952, 2.2).

    Args:
        body: of any size that was accepted.
        encoding: as in Content-Encoding.
        most: bytes of the result.

    Raises:
        InvalidInputError: it is not compressed so, or not whole.
        TooLargeError: the result would be larger.
        UnsupportedMediaError: the encoding is not known.
    """
    encoding = encoding.lower()
    if encoding in {"identity", ""}:
        return body
    if encoding not in _WINDOW_BITS:
        raise UnsupportedMediaError(f"Content-Encoding {encoding!r} is not understood; send gzip or deflate")
    parts: list[bytes] = []
    at, size, members = 0, 0, 0
    while at < len(body) or not members:
        members += 1
        if members > (1 if encoding == "deflate" else _MOST_MEMBERS):
            raise InvalidInputError(
                f"something follows the {encoding} body, or it has more than {_MOST_MEMBERS} members"
            )
        reader = zlib.decompressobj(_WINDOW_BITS[encoding])
        while not reader.eof:
            # In pieces: of each, what follows a member is copied.
            piece = body[at : at + _PIECE_BYTES]
            if not piece:
                raise InvalidInputError(f"the {encoding} body is cut off; send it whole")
            try:
                parts.append(reader.decompress(piece, most + 1 - size))
            except zlib.error as error:
                raise InvalidInputError(
                    f"the body is not {encoding} ({error}); send it whole, compressed once"
                ) from None
            at += len(piece) - len(reader.unused_data)
            size += len(parts[-1])
            if size > most:
                raise TooLargeError(
                    f"the body is larger than {most} bytes when decompressed; send it in several requests"
                )
    return b"".join(parts)


def decompress_bodies(app: Flask) -> None:
    """Decompress the body of each request that Flask answers, before a route reads it."""

    @app.before_request
    def decompress_body() -> None:
        encoding = flask.request.headers.get("Content-Encoding")
        if encoding is not None and (body := flask.request.get_data(cache=False)):
            plain = decompress(body, encoding, app.config["MAX_CONTENT_LENGTH"])
            environ = flask.request.environ
            del environ["HTTP_CONTENT_ENCODING"]
            environ |= {"wsgi.input": io.BytesIO(plain), "CONTENT_LENGTH": str(len(plain))}
            environ.pop("HTTP_TRANSFER_ENCODING", None)
            flask.request.__dict__.pop("stream", None)


def wanted_encoding(request: Request, size_bytes: int) -> str | None:
    """Return how to compress an answer of this size for a client; None where it is not worth it or not wanted."""
    accepted = request.headers.get("accept-encoding")
    if size_bytes < _WORTH_BYTES or accepted is None:
        return None
    return parse_accept_header(accepted, Accept).best_match(list(_OFFERED))


def compress(body: bytes, encoding: str) -> bytes:
    """Return a body compressed, fast rather than small."""
    writer = zlib.compressobj(1, wbits=_WINDOW_BITS[encoding])
    return writer.compress(body) + writer.flush()
