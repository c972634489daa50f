"""Bodies that come, or are wanted, compressed."""

import zlib
from typing import Final

from werkzeug.datastructures import Accept
from werkzeug.http import parse_accept_header

from api.server.request import Request
from services.errors import InvalidInputError, TooLargeError, UnsupportedMediaError

_WINDOW_BITS: Final = {"gzip": 31, "x-gzip": 31, "deflate": 15}
_OFFERED: Final = ("gzip", "deflate")
_WORTH_BYTES: Final = 1024
"""Less is sent as it is."""


def read_body(request: Request, most: int) -> bytes:
    """Return the body of a request as it was before it was compressed; `most` bytes at most either way.

    Raises:
        InvalidInputError: it is not compressed as its header says, or not whole.
        TooLargeError: it is larger.
        UnsupportedMediaError: it is compressed in another way.
    """
    encoding = (request.headers.get("content-encoding") or "identity").lower()
    if encoding == "identity":
        return request.body(most)
    if encoding not in _WINDOW_BITS:
        raise UnsupportedMediaError(f"Content-Encoding {encoding!r} is not understood; send gzip or deflate")
    body = request.body(most)
    reader = zlib.decompressobj(_WINDOW_BITS[encoding])
    try:
        plain = reader.decompress(body, most + 1)
    except zlib.error as error:
        raise InvalidInputError(
            f"the body is not {encoding} ({error}); send it whole, compressed once"
        ) from None
    if len(plain) > most:
        raise TooLargeError(
            f"the body is larger than {most} bytes when decompressed; send it in several requests"
        )
    if not reader.eof or reader.unused_data:
        raise InvalidInputError(f"the {encoding} body is cut off, or something follows it; send it whole")
    return plain


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
