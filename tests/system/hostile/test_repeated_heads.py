"""A head that comes again is answered from memory: with the same answers, and every rule asked anew."""

import http.client
import json
import socket
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from typing import Any, BinaryIO

import pytest

from services.users.accounts import Role
from services.users.store import UserStore
from tests.api.requests import CLASSIFY, RAW, TOKEN
from tests.services.samples import scores_of, some_crops
from tests.system.conftest import wait_until
from tests.system.hostile.conftest import HOST, Server, serving


@pytest.fixture(scope="module")
def server(redis_url: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with serving(redis_url, tmp_path_factory.mktemp("api"), {"HXSERVE_CLIENT_TIMEOUT_S": "1"}) as server:
        yield server


@pytest.fixture
def connection(server: Server) -> Iterator[http.client.HTTPConnection]:
    with closing(http.client.HTTPConnection(HOST, server.port, timeout=30)) as connection:
        yield connection


def _classify(
    connection: http.client.HTTPConnection, crops: bytes, token: str = TOKEN, path: str = CLASSIFY
) -> tuple[int, dict[str, str], Any]:
    connection.request("POST", path, crops, {"Authorization": f"Bearer {token}", "Content-Type": RAW})
    answer = connection.getresponse()
    return answer.status, dict(answer.getheaders()), json.loads(answer.read())


def _head(length: int, query: str = "", token: str = TOKEN) -> bytes:
    return (
        f"POST {CLASSIFY}{query} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {token}\r\n"
        f"Content-Type: {RAW}\r\nContent-Length: {length}\r\n\r\n"
    ).encode()


@pytest.mark.parametrize("count", [1, 64])
def test_the_same_head_with_other_crops_has_other_answers(
    connection: http.client.HTTPConnection, count: int
) -> None:
    for seed in range(5):
        crops = some_crops(count, seed)

        status, _, answer = _classify(connection, crops)

        assert status == 200
        assert [prediction["scores"] for prediction in answer["predictions"]] == scores_of(crops).tolist()


def test_the_answer_has_the_headers_of_the_ordinary_way(connection: http.client.HTTPConnection) -> None:
    first, again = (_classify(connection, some_crops(3))[1] for _ in range(2))

    def settled(headers: dict[str, str]) -> dict[str, str]:
        return {name: value for name, value in headers.items() if name not in {"Date", "Content-Length"}}

    assert settled(again) == settled(first)
    assert {"Date", "Content-Length"} <= set(again)


def test_requests_sent_without_waiting_are_answered_in_order(server: Server) -> None:
    head = _head(784)
    bodies = [some_crops(1, seed) for seed in range(6)]
    with socket.create_connection((HOST, server.port), timeout=30) as raw, raw.makefile("rb") as answers:
        raw.sendall(b"".join(head + body for body in bodies))
        for body in bodies:
            assert answers.readline().startswith(b"HTTP/1.1 200")
            headers = dict(line.split(b": ", 1) for line in iter(answers.readline, b"\r\n"))
            answer = json.loads(answers.read(int(headers[b"Content-Length"])))
            assert [answer["predictions"][0]["scores"]] == scores_of(body).tolist()


def test_half_a_body_after_a_known_head_is_told_that_it_took_too_long(server: Server) -> None:
    head = _head(784)
    with socket.create_connection((HOST, server.port), timeout=30) as raw, raw.makefile("rb") as answers:
        for body in (some_crops(1), some_crops(1), bytes(100)):
            raw.sendall(head + body)
            status = answers.readline()
            length = int(
                dict(line.split(b": ", 1) for line in iter(answers.readline, b"\r\n"))[b"Content-Length"]
            )
            answer = json.loads(answers.read(length))

    assert status.startswith(b"HTTP/1.1 408 ")
    assert answer["code"] == "request_timeout"


def test_a_user_who_is_disabled_is_refused_under_a_head_that_was_good(
    server: Server, connection: http.client.HTTPConnection
) -> None:
    users = UserStore(server.connection)
    _, issued = users.add("leaver", Role.ADMIN, {})
    path = CLASSIFY + "?wait=20"
    for _ in range(2):
        assert _classify(connection, some_crops(1), issued.secret, path)[0] == 200

    users.change("leaver", {"disabled": True})

    def refused() -> bool:
        return _classify(connection, some_crops(1), issued.secret, path)[0] == 401

    wait_until(refused)


def test_a_wrong_answer_is_never_learned(connection: http.client.HTTPConnection) -> None:
    for _ in range(3):
        status, _, problem = _classify(connection, b"x" * 783)
        assert (status, problem["code"]) == (422, "invalid_images")
    for _ in range(3):
        assert _classify(connection, some_crops(1), path="/v1/models/other/classify")[0] == 404


def test_an_answer_that_is_late_is_a_job_under_a_known_head_too(
    connection: http.client.HTTPConnection,
) -> None:
    path = CLASSIFY + "?wait=0.0001"
    outcomes = [_classify(connection, some_crops(1), path=path) for _ in range(20)]

    assert {status for status, _, _ in outcomes} <= {200, 202}
    for status, headers, answer in outcomes:
        if status == 202:
            assert headers["Location"] == f"/v1/jobs/{answer['id']}"


def _answer(answers: BinaryIO) -> tuple[bytes, Any]:
    """Status line and content of the next answer."""
    status = answers.readline()
    headers = dict(line.split(b": ", 1) for line in iter(answers.readline, b"\r\n"))
    return status, json.loads(answers.read(int(headers[b"Content-Length"])))


@contextmanager
def _known(port: int, query: str = "", token: str = TOKEN) -> Iterator[tuple[socket.socket, BinaryIO]]:
    """A connection on which a head has come twice, so that it is served with others."""
    with socket.create_connection((HOST, port), timeout=30) as raw, raw.makefile("rb") as answers:
        for _ in range(2):
            raw.sendall(_head(784, query, token) + some_crops(1))
            assert _answer(answers)[0].startswith(b"HTTP/1.1 200")
        yield raw, answers


def test_another_request_on_such_a_connection_is_understood(server: Server) -> None:
    with _known(server.port) as (raw, answers):
        raw.sendall(b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n")
        health = _answer(answers)
        raw.sendall(_head(784) + some_crops(1, seed=3))
        crop = _answer(answers)

    assert health[0].startswith(b"HTTP/1.1 200")
    assert [crop[1]["predictions"][0]["scores"]] == scores_of(some_crops(1, seed=3)).tolist()


def test_an_answer_that_comes_late_is_not_taken_for_that_to_the_next_request(server: Server) -> None:
    query = "?wait=0.5"
    with _known(server.port, query) as (raw, answers):
        with server.chip.held():
            raw.sendall(_head(784, query) + some_crops(1, seed=1))
            late = _answer(answers)
            raw.sendall(_head(784, query) + some_crops(1, seed=2))
            time.sleep(0.1)
        following = _answer(answers)

    assert late[0].startswith(b"HTTP/1.1 202")
    assert following[0].startswith(b"HTTP/1.1 200")
    assert [following[1]["predictions"][0]["scores"]] == scores_of(some_crops(1, seed=2)).tolist()


def test_a_late_request_is_answered_once_however_long_its_record_takes(server: Server) -> None:
    query = "?wait=0.3"
    with _known(server.port, query) as (raw, answers):
        server.connection.client.client_pause(900)
        raw.sendall(_head(784, query) + some_crops(1, seed=1))
        first = _answer(answers)
        raw.settimeout(0.6)
        with pytest.raises(TimeoutError):
            answers.readline()
        raw.settimeout(30)

    assert first[0].split()[1] in {b"200", b"202"}


def test_who_is_not_known_in_time_is_told_to_come_again_and_nothing_is_read(server: Server) -> None:
    query = "?wait=0.3"
    _, issued = UserStore(server.connection).add("stranger", Role.ADMIN, {})
    with _known(server.port, query, issued.secret) as (raw, answers):
        time.sleep(0.6)
        raw.sendall(_head(784, query, issued.secret) + some_crops(1))
        assert _answer(answers)[0].startswith(b"HTTP/1.1 200")
        time.sleep(0.6)  # a token is remembered for a second, and nobody may be silent for as long
        charged = _charged(server)
        server.connection.client.client_pause(900)
        raw.sendall(_head(784, query, issued.secret) + some_crops(1, seed=1))
        refused = _answer(answers)
        time.sleep(0.8)

    assert refused[0].startswith(b"HTTP/1.1 503 ")
    assert refused[1]["code"] == "store_unavailable"
    assert _charged(server) == charged


def _charged(server: Server) -> float:
    """Chip seconds charged to the stranger."""
    charged: Any = server.connection.client.hget("hx:usage:classification", "stranger")
    return float(charged or 0.0)


def test_a_body_in_pieces_under_a_known_head_is_put_together(server: Server) -> None:
    crops = some_crops(1, seed=5)
    with _known(server.port) as (raw, answers):
        for piece in (_head(784)[:30], _head(784)[30:] + crops[:100], crops[100:500], crops[500:]):
            raw.sendall(piece)
            time.sleep(0.05)
        answer = _answer(answers)[1]

    assert [answer["predictions"][0]["scores"]] == scores_of(crops).tolist()


def test_who_says_nothing_more_is_hung_up_on_and_who_leaves_disturbs_nobody(server: Server) -> None:
    with _known(server.port) as (raw, answers), _known(server.port) as (leaver, _):
        leaver.sendall(_head(784) + some_crops(1))
        leaver.close()
        raw.sendall(_head(784) + some_crops(1, seed=9))
        answered = _answer(answers)
        rest = answers.read()  # until the server hangs up

    assert answered[0].startswith(b"HTTP/1.1 200")
    assert not rest or rest.startswith(b"HTTP/1.1 408")


def test_such_connections_do_not_hold_a_server_that_stops(redis_url: str, tmp_path: Path) -> None:
    with serving(redis_url, tmp_path, {}) as server, _known(server.port) as (_, answers):
        server.process.stop()

        assert server.process.exit_status() == 0
        with suppress(ConnectionResetError):
            assert answers.read() == b""
