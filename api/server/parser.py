"""Parsing of requests: by httptools, with the limits and rules that it leaves to its users."""

from collections import deque
from http import HTTPStatus
from types import SimpleNamespace
from typing import Any, Final

import httptools

from api.server.request import RefusedRequestError, Request

_MOST_HEAD_BYTES: Final = 32 * 1024
_MOST_TARGET_BYTES: Final = 8 * 1024
_MOST_HEADERS: Final = 100


class RequestParser:
    """The requests of one connection, in their order; httptools calls the methods that begin with `on_`."""

    def __init__(self, client: Any) -> None:
        """Begin to parse.

        Args:
            client: the address that the requests come from.
        """
        self.requests: deque[Request] = deque()
        """Requests whose heads are complete, until they are answered."""
        self.refusal: RefusedRequestError | None = None
        """What is wrong with the bytes after them; nothing more is parsed."""
        self._client = client
        self._parser = httptools.HttpRequestParser(self)
        self._parsing: Request | None = None
        """The request whose head has ended, but not its body."""
        self._fields: list[tuple[bytes, bytes]] | None = None
        """Headers of the request whose head has not ended; those after a body are ignored."""
        self._target = b""
        self._head_bytes = 0

    @property
    def has_begun(self) -> bool:
        """True while a part of a request has come."""
        return self._parsing is not None or self._fields is not None

    @property
    def has_work(self) -> bool:
        """True while something can be answered without more bytes: a complete request, or what is wrong."""
        return self.requests[0].is_complete if self.requests else self.refusal is not None

    def feed(self, data: bytes) -> None:
        """Parse bytes; what is wrong with them is in `refusal`, after the requests before them."""
        last = self.requests[-1] if self.requests else None
        if self.refusal is not None or (last is not None and last.is_complete and not last.keep_alive):
            return
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserUpgrade as upgrade:
            # The request is answered as if it had not asked, and the connection closed.
            if self._parsing is not None:
                self._parse_body_of(self._parsing)
                self.feed(data[upgrade.args[0] :])
        except httptools.HttpParserCallbackError as error:
            if not isinstance(error.__context__, RefusedRequestError):
                raise
            self._refuse(error.__context__)
        except httptools.HttpParserError as error:
            last = self.requests[-1] if self.requests else None
            if last is None or not last.is_complete or last.keep_alive:
                detail = f"the request is malformed ({error}); send HTTP/1.1"
                self._refuse(RefusedRequestError(HTTPStatus.BAD_REQUEST, detail))
        if self._fields is not None:
            self._head_bytes += len(data)
            if self._head_bytes > _MOST_HEAD_BYTES:
                self._refuse(_head_too_large())

    def _parse_body_of(self, request: Request) -> None:
        """Parse what follows as a request's body: httptools leaves it out where another protocol is asked for."""
        methods = SimpleNamespace(on_body=self.on_body, on_message_complete=self.on_message_complete)
        self._parser = httptools.HttpRequestParser(methods)
        length = request.content_length
        framing = "Transfer-Encoding: chunked" if length is None else f"Content-Length: {length}"
        self._parser.feed_data(f"POST / HTTP/1.1\r\nConnection: close\r\n{framing}\r\n\r\n".encode())

    def _refuse(self, refusal: RefusedRequestError) -> None:
        self.refusal, self._parsing, self._fields = refusal, None, None

    def on_message_begin(self) -> None:
        """Begin a request."""
        self._fields, self._target, self._head_bytes = [], b"", 0

    def on_url(self, piece: bytes) -> None:
        """Take a piece of the target."""
        self._target += piece
        if len(self._target) > _MOST_TARGET_BYTES:
            raise RefusedRequestError(
                HTTPStatus.REQUEST_URI_TOO_LONG, "the address is too long; send at most 8 kB"
            )

    def on_header(self, name: bytes, value: bytes) -> None:
        """Take a header; those after the body are ignored."""
        if self._fields is not None:
            self._fields.append((name, value))

    def on_headers_complete(self) -> None:
        """Queue the request; its body may still come."""
        fields, parser = self._fields, self._parser
        assert fields is not None
        self._fields = None
        if len(fields) > _MOST_HEADERS or self._head_bytes > _MOST_HEAD_BYTES:
            raise _head_too_large()
        request = self._parsing = Request.of_head(
            self._client, parser.get_method(), self._target, parser.get_http_version(), fields
        )
        request.keep_alive = parser.should_keep_alive() and not parser.should_upgrade()
        self.requests.append(request)

    def on_body(self, data: bytes) -> None:
        """Keep a piece of the body."""
        assert self._parsing is not None
        self._parsing.add_body(data)

    def on_message_complete(self) -> None:
        """Mark the request as complete, if its body was parsed."""
        request = self._parsing
        assert request is not None
        if request.content_length == 0 or not self._parser.should_upgrade():
            request.is_complete = True
            self._parsing = None


def _head_too_large() -> RefusedRequestError:
    return RefusedRequestError(
        HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE,
        "the head is too large; send at most 100 headers and 32 kB",
    )
