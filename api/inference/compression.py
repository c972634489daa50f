"""Bodies that come, or are wanted, compressed."""

import zlib
from typing import Final

from werkzeug import Request

from services.errors import InvalidInputError, TooLargeError, UnsupportedMediaError

_WINDOW_BITS: Final = {"gzip": 31, "deflate": 15}
_WORTH_BYTES: Final = 1024
"""Less is sent as it is."""


def read_body(request: Request) -> bytes:
    """The body of a request, as it was before it was compressed.

    Raises:
        InvalidInputError: it is not compressed as its header says, or not whole.
        TooLargeError: it is larger than a body may be.
        UnsupportedMediaError: it is compressed in another way.
    """
    body = request.get_data(cache=False)
    encoding = request.headers.get("Content-Encoding", "identity").strip().lower()
    if encoding in {"", "identity"}:
        return body
    if encoding not in _WINDOW_BITS:
        raise UnsupportedMediaError(f"Content-Encoding {encoding!r} is not understood; send gzip or deflate")
    most = request.max_content_length or 0
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
    """How to compress an answer of this size for a client, if it is worth it and the client takes it."""
    if size_bytes < _WORTH_BYTES or "Accept-Encoding" not in request.headers:
        return None
    return request.accept_encodings.best_match(list(_WINDOW_BITS))


def compress(body: bytes, encoding: str) -> bytes:
    """A body, compressed fast rather than small."""
    writer = zlib.compressobj(1, wbits=_WINDOW_BITS[encoding])
    return writer.compress(body) + writer.flush()
