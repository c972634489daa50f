"""One try of a delivery: a POST to one checked address, with limits of time and size."""

import http.client
import io
import re
import select
import socket
import ssl
import time
from collections.abc import Callable, Mapping
from contextlib import closing
from dataclasses import dataclass
from functools import cached_property, partial
from typing import Any, Final, TypeVar, cast

from services.webhooks.targets import Target, TargetRefusedError, Targets

LONGEST_TRY_S: Final = 10.0
_MOST_BYTES: Final = 16_384
_MOST_SHOWN: Final = 200
_USER_AGENT: Final = "hxserve-webhooks"
_SUCCESS: Final = re.compile(rb"HTTP/1\.[01] 2\d\d\b.*?\r\n\r\n", re.DOTALL)
"""The head of an answer that needs no more."""
T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Answer:
    """What came of a try: the status, None without an answer, and why it failed, None if it did not.

    `asked_s` is the pause that the receiver asked for, in seconds.
    """

    status: int | None = None
    problem: str | None = None
    asked_s: float = 0.0


class Sender:
    """Sends to the addresses that `targets` admits.

    The socket never blocks, so that no receiver, however slowly it shakes hands or answers, holds a try for longer than
    `longest_s` seconds and the look-up of its name.
    """

    def __init__(self, targets: Targets, *, longest_s: float = LONGEST_TRY_S) -> None:
        self._targets = targets
        self._longest_s = longest_s

    def send(self, url: str, headers: Mapping[str, str], body: bytes) -> Answer:
        """Send a body; every failure is an answer that tells of it."""
        try:
            target, addresses = self._targets.resolve(url)
            return _answer_of(self._exchange(target, addresses, _request(target, headers, body)))
        except TargetRefusedError as error:
            return Answer(problem=str(error))
        except TimeoutError:
            return Answer(problem=f"no answer within {self._longest_s:g} seconds")
        except ssl.SSLCertVerificationError as error:
            return Answer(problem=f"the certificate of the receiver is not valid ({error.verify_message})")
        except (OSError, http.client.HTTPException) as error:
            reason = getattr(error, "strerror", None) or error or type(error).__name__
            return Answer(problem=_printable(f"the receiver cannot be reached ({reason})"))

    def _exchange(
        self, target: Target, addresses: list[tuple[int, tuple[Any, ...]]], request: bytes
    ) -> bytes:
        """Return the beginning of the answer: at least its head."""
        until = time.monotonic() + self._longest_s
        with (
            closing(_connect(addresses, until)) as plain,
            closing(self._secure(plain, target, until)) as sock,
        ):
            sent = 0
            while sent < len(request):
                rest = memoryview(request)[sent:]
                sent += _wait(sock, until, partial(sock.send, rest), select.POLLOUT)
            return _receive(sock, until)

    def _secure(self, sock: socket.socket, target: Target, until: float) -> socket.socket:
        """Return the connection under TLS, with the certificate checked, where the address is one of https."""
        if not target.is_tls:
            return sock
        secure = self._tls.wrap_socket(sock, server_hostname=target.host, do_handshake_on_connect=False)
        try:
            _wait(secure, until, secure.do_handshake)
        except OSError:
            secure.close()
            raise
        return secure

    @cached_property
    def _tls(self) -> ssl.SSLContext:
        """The certificates that this machine trusts, read once: that takes milliseconds."""
        return ssl.create_default_context()


def _receive(sock: socket.socket, until: float) -> bytes:
    """Return an answer's head, and of one that is no success the beginning of its body, as far as it comes in time."""
    received = b""
    while len(received) < _MOST_BYTES and not _SUCCESS.match(received):
        try:
            piece = _wait(sock, until, partial(sock.recv, 4096))
        except (TimeoutError, ConnectionError):
            if b"\r\n\r\n" not in received:
                raise
            break
        if not piece:
            break
        received += piece
    return received


def _connect(addresses: list[tuple[int, tuple[Any, ...]]], until: float) -> socket.socket:
    """Return a connection to the first address that takes one: the very addresses that were checked."""
    failure: OSError = TimeoutError()
    for family, address in addresses:
        sock = socket.socket(family, socket.SOCK_STREAM)
        try:
            sock.settimeout(max(0.001, until - time.monotonic()))
            sock.connect(address)
        except OSError as error:
            sock.close()
            failure = error
        else:
            sock.setblocking(False)
            return sock
    raise failure


def _wait(sock: socket.socket, until: float, step: Callable[[], T], event: int = select.POLLIN) -> T:
    """Return the result of a step once the socket lets it be done."""
    while True:
        try:
            return step()
        except (BlockingIOError, ssl.SSLWantReadError, ssl.SSLWantWriteError) as error:
            is_write = isinstance(error, ssl.SSLWantWriteError)
            wanted = (
                event if isinstance(error, BlockingIOError) else (select.POLLIN, select.POLLOUT)[is_write]
            )
        left_s = until - time.monotonic()
        if left_s <= 0:
            raise TimeoutError
        poll = select.poll()
        poll.register(sock.fileno(), wanted)
        poll.poll(left_s * 1000)


def _request(target: Target, headers: Mapping[str, str], body: bytes) -> bytes:
    all_headers = {
        "Host": target.host_header,
        "Connection": "close",
        "Content-Type": "application/json",
        "Content-Length": str(len(body)),
        "User-Agent": _USER_AGENT,
        **headers,
    }
    head = "".join(f"{name}: {value}\r\n" for name, value in all_headers.items())
    return f"POST {target.path} HTTP/1.1\r\n{head}\r\n".encode("ascii") + body


class _Received:
    """What `http.client` reads an answer from."""

    def __init__(self, content: bytes) -> None:
        self._content = content

    def makefile(self, mode: str) -> io.BytesIO:
        del mode
        return io.BytesIO(self._content)


def _answer_of(received: bytes) -> Answer:
    response = http.client.HTTPResponse(cast("socket.socket", _Received(received)), method="POST")
    response.begin()
    if 200 <= response.status < 300:
        return Answer(response.status)
    problem = _printable(f"the receiver answered {response.status} {response.reason}")
    if 300 <= response.status < 400:
        return Answer(response.status, f"{problem}; redirects are not followed, give the address itself")
    try:
        content = response.read(_MOST_SHOWN)
    except http.client.HTTPException:
        content = b""
    said = _printable(content.decode("utf-8", "replace"))
    asked = response.headers.get("Retry-After", "")
    asked_s = float(asked) if asked.isascii() and asked.isdigit() else 0.0
    return Answer(response.status, f"{problem}: {said}" if said else problem, asked_s)


def _printable(text: str) -> str:
    """Return the beginning of a receiver's text on one line."""
    return "".join(letter for letter in " ".join(text.split()) if letter.isprintable())[:_MOST_SHOWN]
