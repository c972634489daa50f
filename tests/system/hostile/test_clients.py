"""Clients that are slow, wrong or gone: each is dealt with, and nobody else notices."""

import resource
import socket
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import Final

import pytest

from api.server.server import RESERVED
from tests.api.requests import CLASSIFY, RAW, TOKEN
from tests.services.samples import some_crops
from tests.system.hostile.conftest import HOST, Server, serving

_AUTHORIZED: Final = f"Host: x\r\nAuthorization: Bearer {TOKEN}\r\n"
_PATIENT: Final = 30.0
"""A test's own wait, far beyond what the server allows its clients."""


@pytest.fixture(scope="module")
def server(redis_url: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server that waits for clients no longer than a second, and has room for 40."""
    folder: Path = tmp_path_factory.mktemp("api")
    limits = {"HXSERVE_CLIENT_TIMEOUT_S": "1", "HXSERVE_MAX_CONNECTIONS": "40"}
    with serving(redis_url, folder, limits) as server:
        yield server


@pytest.fixture(autouse=True)
def _nothing_unforeseen(server: Server) -> Iterator[None]:
    """After each test others are served, and the log has neither a traceback nor what the client sent."""
    yield
    assert server.answers()
    assert "Traceback" not in server.log()
    assert TOKEN not in server.log()


@contextmanager
def _connected(server: Server) -> Iterator[socket.socket]:
    with socket.create_connection((HOST, server.port), timeout=_PATIENT) as connection:
        yield connection


def _everything(connection: socket.socket) -> bytes:
    """What the server still sends, until it hangs up."""
    received = b""
    with suppress(ConnectionResetError):
        while piece := connection.recv(65536):
            received += piece
    return received


def _said(server: Server, request: bytes) -> bytes:
    """All that is answered to bytes after which the client sends no more but stays."""
    with _connected(server) as connection:
        connection.sendall(request)
        return _everything(connection)


def _post(body: bytes, *headers: str, path: str = CLASSIFY, kind: str = RAW) -> bytes:
    lines = "".join(f"{header}\r\n" for header in headers)
    return f"POST {path} HTTP/1.1\r\n{_AUTHORIZED}Content-Type: {kind}\r\n{lines}\r\n".encode() + body


def _statuses(answers: bytes) -> list[int]:
    return [int(part[:3]) for part in answers.split(b"HTTP/1.1 ")[1:]]


def _drip(connection: socket.socket, content: bytes) -> None:
    """Sends a byte at a time, until the server has had enough."""
    with suppress(BrokenPipeError, ConnectionResetError):
        for n in range(len(content)):
            connection.sendall(content[n : n + 1])
            time.sleep(0.05)


@pytest.mark.parametrize(
    "sent",
    [b"GET /healthz/", b"GET /healthz HTTP/1.1\r\nHost: x\r\nX-A: " + b"a" * 200],
    ids=["line", "header"],
)
def test_a_head_that_comes_byte_by_byte_is_given_up(server: Server, sent: bytes) -> None:
    with _connected(server) as connection:
        _drip(connection, sent + b"b" * 200)

        assert _statuses(_everything(connection)) in ([], [408])


def test_a_body_that_comes_byte_by_byte_is_given_up(server: Server) -> None:
    with _connected(server) as connection:
        connection.sendall(_post(b"", "Content-Length: 784"))
        _drip(connection, bytes(200))

        assert _statuses(_everything(connection)) in ([], [408])


@pytest.mark.parametrize(
    "headers", [("Content-Length: 784",), ("Transfer-Encoding: chunked",)], ids=["length", "chunked"]
)
def test_who_sends_half_a_body_and_waits_is_told_that_it_took_too_long(
    server: Server, headers: tuple[str]
) -> None:
    body = b"310\r\n" + bytes(100) if "chunked" in headers[0] else bytes(100)

    assert _statuses(_said(server, _post(body, *headers))) == [408]


@pytest.mark.parametrize(
    "sent",
    [
        b"",
        b"GET",
        b"GET / HTTP/1.1\r\nHost",
        _post(bytes(100), "Content-Length: 784"),
        _post(b"310\r\n" + bytes(10), "Transfer-Encoding: chunked"),
        _post(some_crops(1), "Content-Length: 784"),
    ],
    ids=["nothing", "line", "head", "body", "chunk", "everything"],
)
def test_a_client_that_leaves_in_the_middle_leaves_no_trace(server: Server, sent: bytes) -> None:
    for _ in range(5):
        with _connected(server) as connection:
            connection.sendall(sent)
    with _connected(server) as connection:
        connection.sendall(sent)
        # An abrupt end: the server's next read or write fails.
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\x01\x00\x00\x00\x00\x00\x00\x00")


def test_who_does_not_read_the_answer_is_given_up(server: Server) -> None:
    request = f"GET /docs HTTP/1.1\r\n{_AUTHORIZED}\r\n".encode()
    with _connected(server) as connection:
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 65536)
        connection.sendall(request * 20)
        time.sleep(3)

        assert len(_everything(connection)) < 20 * 2_000_000


@pytest.mark.parametrize(
    ("request_", "status"),
    [
        (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n", 400),
        (b"GET /?token=" + TOKEN.encode() + b" HTTP/9.9\r\n\r\n", 400),
        (b"GET /" + TOKEN.encode() + b"\r\n\r\n", 400),
        (b"GET / HTTP/1.1\r\nHost: x\r\nHost: y\r\n\r\n", 400),
        (b"GET / HTTP/1.1\r\nHost: x\r\nno colon here\r\nContent-Length: 3\r\n\r\nabc", 400),
        (b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length : 3\r\n\r\nabc", 400),
        (b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\nContent-Length: 4\r\n\r\nabc", 400),
        (b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: -3\r\n\r\nabc", 400),
        (b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: +3\r\n\r\nabc", 400),
        (b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 1e9\r\n\r\nabc", 400),
        (b"POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: gzip\r\n\r\nabc", 400),
        (
            b"POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: x\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
            400,
        ),
        (b"GET /" + b"a" * 9000 + b" HTTP/1.1\r\nHost: x\r\n\r\n", 414),
        (b"GET / HTTP/1.1\r\nHost: x\r\n" + b"".join(b"X-%d: 1\r\n" % n for n in range(150)) + b"\r\n", 431),
        (b"GET / HTTP/1.1\r\nHost: x\r\nX-A: " + b"a" * 40_000 + b"\r\n\r\n", 431),
        (_post(b"zz\r\n", "Transfer-Encoding: chunked"), 400),
        (_post(b"fffffffffffffffffff\r\n", "Transfer-Encoding: chunked"), 400),
    ],
    ids=lambda value: (
        None if isinstance(value, int) else value[:60].decode("latin-1").split("\r\n")[-1] or "binary"
    ),
)
def test_a_malformed_request_is_refused_and_the_connection_closed(
    server: Server, request_: bytes, status: int
) -> None:
    assert _statuses(_said(server, request_))[:1] == [status]


def test_a_body_larger_than_announced_is_not_taken_for_a_request(server: Server) -> None:
    smuggled = b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n"
    announced = _post(bytes(784) + b"\x00" * 9 + smuggled, "Content-Length: 784")

    assert _statuses(_said(server, announced)) == [200, 400]


def test_requests_sent_at_once_are_answered_in_their_order(server: Server) -> None:
    health = b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n"
    crops = _post(bytes(784), "Content-Length: 784")
    missing = f"GET /v1/nothing HTTP/1.1\r\n{_AUTHORIZED}\r\n".encode()

    answers = _said(server, health + crops + missing + health)

    assert _statuses(answers) == [200, 200, 404, 200]


def test_a_chunked_body_means_what_a_whole_one_does(server: Server) -> None:
    crop = bytes(784)
    chunks = b"".join(b"c4\r\n" + crop[n : n + 196] + b"\r\n" for n in range(0, 784, 196)) + b"0\r\n\r\n"

    answer = _said(server, _post(chunks, "Transfer-Encoding: chunked"))

    assert _statuses(answer) == [200]
    assert b'"predictions"' in answer


@pytest.mark.parametrize("path", [CLASSIFY, "/v1/jobs"])
def test_a_chunked_body_without_end_is_refused_at_the_limit(server: Server, path: str) -> None:
    with _connected(server) as connection:
        connection.sendall(_post(b"", "Transfer-Encoding: chunked", path=path, kind="application/json"))
        with suppress(BrokenPipeError, ConnectionResetError):
            for _ in range(400):
                connection.sendall(b"4000\r\n" + b" " * 0x4000 + b"\r\n")

        assert _statuses(_everything(connection)) in ([], [413])


def test_more_than_the_service_takes_is_refused_before_it_is_sent(server: Server) -> None:
    assert _statuses(_said(server, _post(b"", "Content-Length: 99999999999"))) == [413]


def test_without_a_token_nothing_of_a_body_is_kept(server: Server) -> None:
    request = _post(bytes(10_000), "Content-Length: 1000000").replace(TOKEN.encode(), b"wrong")

    assert _statuses(_said(server, request)) == [401]


@pytest.mark.parametrize(
    "body",
    [b"[" * 100_000, b'{"a":' * 50_000, b'{"images": [' + b"[" * 9000 + b"]" * 9000 + b"]}", b"9" * 500_000],
)
@pytest.mark.parametrize("path", [CLASSIFY, "/v1/jobs"])
def test_json_of_any_depth_and_size_is_refused(server: Server, body: bytes, path: str) -> None:
    request = _post(body, f"Content-Length: {len(body)}", path=path, kind="application/json")

    assert _statuses(_said(server, request)) == [422]


def test_idle_connections_make_room_for_others(server: Server) -> None:
    with ExitStack() as stack:
        for _ in range(200):  # there is room for 40
            stack.enter_context(_connected(server))

        assert server.answers()


@pytest.mark.long
def test_ten_thousand_idle_connections_keep_nobody_out(
    redis_url: str, tmp_path_factory: pytest.TempPathFactory
) -> None:
    idle = 10_000
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard < idle + RESERVED:
        pytest.skip(f"the hard limit of open files is {hard}; this test needs {idle + RESERVED} (ulimit -Hn)")
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, idle + RESERVED), hard))
    folder = tmp_path_factory.mktemp("api")
    with ExitStack() as stack:
        server = stack.enter_context(serving(redis_url, folder, {"HXSERVE_CLIENT_TIMEOUT_S": "120"}))
        connections = [stack.enter_context(_connected(server)) for _ in range(idle)]

        answers = _statuses(_said(server, _post(bytes(784), "Content-Length: 784", "Connection: close")))

        assert answers == [200]
        assert server.answers()
        for connection in connections[:: idle // 10]:
            connection.sendall(b"GET /healthz HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
            assert _statuses(_everything(connection)) == [200]
