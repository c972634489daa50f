"""One connection: reads what the client sends, has each request answered in its order, and writes the answers."""

import os
import socket
import time
from contextlib import suppress
from functools import partial
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, Final

import gevent

from api.server.parser import RequestParser
from api.server.request import RefusedRequestError, Request
from api.server.responses import Headers, whole_response
from api.server.wsgi import answer_with_wsgi, send_all

if TYPE_CHECKING:
    from api.server.server import Route, Server

_PIECE_BYTES: Final = 4096
_MOST_PIECE_BYTES: Final = 64 * 1024
_LEAST_BYTES_PER_S: Final = 4 * 1024
"""A client that sends a body more slowly than this, after its time of silence, is given up."""
_LINGER_S: Final = 5.0
SMALL_BODY_BYTES: Final = 64 * 1024
"""A body up to this size is collected without a greenlet of its own."""


class Connection:
    """A client's connection; `answering` is the request that is being answered."""

    def __init__(self, client: socket.socket, address: Any, server: "Server") -> None:
        self.client = client
        self.address = address
        self.is_closed = False
        self.is_ready = False
        """True while the connection is listed among those to read."""
        self.since = time.monotonic()
        """Start of the present wait for the client."""
        self.answering: Request | None = None
        self._server = server
        self._descriptor = client.fileno()
        self._readable = gevent.get_hub().loop.io(self._descriptor, 1)
        self._room = _PIECE_BYTES
        """Bytes to read at once: a request like the one before. Room for more costs time, used or not."""
        self._expects_continue = False
        """True while the client holds the body of `answering` back until it is asked for it."""
        self._parser = RequestParser(address)
        self._requests = self._parser.requests

    # Reading.

    def listen(self) -> None:
        """List the connection for reading as soon as more comes."""
        if not self._readable.active and not self.is_closed:
            self._readable.start(self._came)

    def _came(self) -> None:
        if self.answering is not None:  # the next request, before this one is answered: later
            self._readable.stop()
        elif not self.is_ready:
            self._server.note_ready(self)

    def receive(self) -> None:
        """Read what has come and have complete requests answered; never waits."""
        self.is_ready = False
        if self.is_closed or self.answering is not None:
            return
        try:
            data = os.read(self._descriptor, self._room)
        except BlockingIOError:
            data = None
        except OSError:
            data = b""
        if (
            data == b"" and not self._parser.has_work
        ):  # else the client only sends no more, and waits for answers
            self.close()
            return
        if data:
            self._parser.feed(data)
        self.advance()

    def _receive_in_greenlet(self) -> None:
        """Read more of a body, on behalf of the greenlet that wants it.

        Raises:
            TimeoutError: nothing came in time, or too little.
            OSError: the client left, or what it sent is malformed.
        """
        request = self._requests[0]
        if self._parser.refusal is not None:
            raise OSError(str(self._parser.refusal))
        if self._expects_continue:
            self._expects_continue = False
            self.client.sendall(b"HTTP/1.1 100 Continue\r\n\r\n")
        allowed_s = self._server.silence_s + request.received / _LEAST_BYTES_PER_S
        left_s = min(self._server.silence_s, self.since + allowed_s - time.monotonic())
        self.client.settimeout(max(left_s, 0.001))
        data = self.client.recv(_MOST_PIECE_BYTES)
        if not data:
            raise OSError("the client left before the body was complete")
        self._parser.feed(data)

    # Answering.

    def advance(self) -> None:
        """Have the next request answered, if there is one and none before it is being answered."""
        if self.answering is not None or self.is_closed:
            return
        if not self._requests:
            if self._parser.refusal is not None:
                self._say_refusal(self._parser.refusal)
            else:
                self._await_more(is_idle=not self._parser.has_begun)
            return
        request = self._requests[0]
        route = self._server.application.find(request)
        length = SMALL_BODY_BYTES + 1 if request.content_length is None else request.content_length
        is_small = length <= SMALL_BODY_BYTES and "expect" not in request.headers
        if route is not None and is_small and route.is_immediate(request):
            if request.is_complete:
                self._begin(request)
                route.answer(request, partial(self.respond, request))
            elif self._parser.refusal is not None:
                self._say_refusal(self._parser.refusal)
            else:
                self._room = min(_MOST_PIECE_BYTES, max(_PIECE_BYTES, length + _PIECE_BYTES // 4))
                self._await_more(is_idle=False)
            return
        self._begin(request)
        self._readable.stop()
        self.since = time.monotonic()
        request.receive = self._receive_in_greenlet
        self._expects_continue = request.headers.get("expect", "").lower() == "100-continue"
        gevent.spawn(self._answer_in_greenlet, request, route)

    def _await_more(self, *, is_idle: bool) -> None:
        self._server.wait_for(self, is_idle=is_idle)
        self.listen()

    def _begin(self, request: Request) -> None:
        self._server.forget(self)
        self.answering = request

    def _answer_in_greenlet(self, request: Request, route: "Route | None") -> None:
        try:
            if route is not None:
                route.answer(request, partial(self.respond, request))
            else:
                answer_with_wsgi(self._server.application.wsgi, request, self.client, self._server.silence_s)
                self._answered(request)
        except OSError:  # the client left, or does not read
            self.close()

    def respond(self, request: Request, status: int, headers: Headers, body: bytes) -> None:
        """Write the answer to a request, unless it has had one or the client has left; never waits."""
        if self.answering is not request or self.is_closed:
            return
        if not request.is_complete or self._server.is_stopping:
            request.keep_alive = False
        if request.version == "1.0" and request.keep_alive:  # such a client expects to be told
            headers = (*headers, ("Connection", "keep-alive"))
        data = whole_response(status, headers, body, keep_alive=request.keep_alive)
        try:
            written = os.write(self._descriptor, data)
        except BlockingIOError:
            written = 0
        except OSError:
            self.close()
            return
        if written == len(data):
            self._answered(request)
        else:
            gevent.spawn(self._send_rest, request, data[written:])

    def _send_rest(self, request: Request, data: bytes) -> None:
        try:
            send_all(self.client, data, self._server.silence_s)
        except OSError:
            self.close()
        else:
            self._answered(request)

    def _answered(self, request: Request) -> None:
        self.answering = None
        self._requests.popleft()
        if not request.is_complete:
            self._linger()
        elif not request.keep_alive or self._server.is_stopping:
            self.close()
        elif self._requests or self._parser.refusal is not None:
            self._server.note_ready(self)
        else:
            self._await_more(is_idle=not self._parser.has_begun)

    def give_up(self) -> None:
        """Refuse a request that did not come in time, or hang up where none has begun."""
        if self._requests:
            detail = "the body did not come in time; send it without long pauses"
        elif self._parser.has_begun:
            detail = "the head did not come in time; send it in one piece"
        else:
            self.close()
            return
        self._say_refusal(RefusedRequestError(HTTPStatus.REQUEST_TIMEOUT, detail))

    def has_time(self, now: float, silence_s: float) -> bool:
        """Return whether the client may still be waited for."""
        received = self._requests[0].received if self._requests else 0
        return now - self.since < silence_s + received / _LEAST_BYTES_PER_S

    def _say_refusal(self, refusal: RefusedRequestError) -> None:
        self._server.log_refusal(self.address, refusal)
        self._server.forget(self)
        headers, body = self._server.application.refusal(refusal.status, str(refusal))
        with suppress(OSError):
            os.write(self._descriptor, whole_response(refusal.status, headers, body, keep_alive=False))
        self._linger()

    def _linger(self) -> None:
        """Close, once the client has had a moment to read the answer: unread data would make the kernel drop it."""
        self._readable.stop()
        self.answering = None
        gevent.spawn(self._close_slowly)

    def _close_slowly(self) -> None:
        with suppress(OSError), gevent.Timeout(_LINGER_S, False):
            self.client.shutdown(socket.SHUT_WR)
            self.client.settimeout(_LINGER_S)
            while self.client.recv(_MOST_PIECE_BYTES):
                pass
        self.close()

    def close(self) -> None:
        """Close the connection; answers that come later are dropped."""
        if not self.is_closed:
            self.is_closed = True
            self.answering = None
            self._readable.stop()
            self._readable.close()
            self.client.close()
            self._server.closed(self)
