"""Many requests on few connections: each has its own answer, and every rule is applied to each."""

import time
from collections.abc import Iterator
from contextlib import ExitStack, suppress
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from api.protection import HEADERS
from services.users.accounts import Role
from services.users.store import UserStore
from tests.api.requests import CLASSIFY
from tests.services.samples import scores_of, some_crops
from tests.system.conftest import wait_until
from tests.system.hostile.conftest import Client, Server, classify, connected, head, serving


@pytest.fixture(scope="module")
def server(redis_url: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server that waits for clients no longer than a second."""
    with serving(redis_url, tmp_path_factory.mktemp("api"), {"HXSERVE_CLIENT_TIMEOUT_S": "1"}) as server:
        yield server


@pytest.fixture
def client(server: Server) -> Iterator[Client]:
    """A connection on which requests have been answered."""
    with connected(server.port) as client:
        _warm_up(client)
        yield client


def _warm_up(client: Client, **changes: Any) -> None:
    for _ in range(2):
        client.send(classify(some_crops(1), **changes))
        assert client.answer().status == 200


@pytest.mark.parametrize("count", [1, 64])
def test_requests_on_one_connection_have_each_their_own_answer(client: Client, count: int) -> None:
    for seed in range(5):
        crops = some_crops(count, seed)

        client.send(classify(crops))

        answer = client.answer()
        assert answer.status == 200
        assert answer.scores() == scores_of(crops).tolist()


def test_each_answer_has_the_same_headers(client: Client) -> None:
    answers = []
    for headers in ((), (), ("Expect: nothing",)):  # the last is answered by a greenlet of its own
        client.send(classify(some_crops(3), *headers))
        answers.append(client.answer())

    first, *others = ({**answer.headers, "date": "", "content-length": ""} for answer in answers)
    assert others == [first] * 2
    assert {name.lower() for name in HEADERS} <= set(first)
    assert all({"date", "content-length"} <= set(answer.headers) for answer in answers)


def test_requests_sent_without_waiting_are_answered_in_order(client: Client) -> None:
    crops = [some_crops(1, seed) for seed in range(6)]

    client.send(*(classify(crop) for crop in crops))

    for crop in crops:
        answer = client.answer()
        assert answer.status == 200
        assert answer.scores() == scores_of(crop).tolist()


def test_half_a_body_is_refused_as_too_slow_on_a_connection_that_was_fast(client: Client) -> None:
    client.send(classify(some_crops(1))[:-684])

    answer = client.answer()

    assert (answer.status, answer.json()["code"]) == (408, "request_timeout")


def test_a_user_who_is_disabled_is_refused_on_a_connection_that_was_theirs(server: Server) -> None:
    users = UserStore(server.connection)
    _, issued = users.add("leaver", Role.ADMIN, {})
    request = classify(some_crops(1), target=CLASSIFY + "?wait=20", token=issued.secret)
    with connected(server.port) as client:

        def status() -> int:
            client.send(request)
            return client.answer().status

        assert [status(), status()] == [200, 200]

        users.change("leaver", {"disabled": True})

        wait_until(lambda: status() == 401)


def test_a_request_that_is_wrong_is_refused_however_often_it_comes(client: Client) -> None:
    for _ in range(3):
        client.send(classify(b"x" * 783))
        answer = client.answer()
        assert (answer.status, answer.json()["code"]) == (422, "invalid_images")
    for _ in range(3):
        client.send(classify(some_crops(1), target="/v1/models/other/classify"))
        assert client.answer().status == 404


def test_an_answer_that_is_late_is_a_job(client: Client) -> None:
    answers = []
    for _ in range(20):
        client.send(classify(some_crops(1), target=CLASSIFY + "?wait=0.0001"))
        answers.append(client.answer())

    assert {answer.status for answer in answers} <= {200, 202}
    for answer in answers:
        if answer.status == 202:
            assert answer.headers["location"] == f"/v1/jobs/{answer.json()['id']}"


def test_another_request_on_such_a_connection_is_understood(client: Client) -> None:
    client.send(b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n")
    health = client.answer()
    client.send(classify(some_crops(1, seed=3)))
    crop = client.answer()

    assert health.status == 200
    assert crop.scores() == scores_of(some_crops(1, seed=3)).tolist()


def test_an_answer_that_comes_late_is_not_taken_for_that_to_the_next_request(
    server: Server, client: Client
) -> None:
    target = CLASSIFY + "?wait=0.5"
    with server.chip.held():
        client.send(classify(some_crops(1, seed=1), target=target))
        late = client.answer()
        client.send(classify(some_crops(1, seed=2), target=target))
        time.sleep(0.1)
    following = client.answer()

    assert (late.status, following.status) == (202, 200)
    assert following.scores() == scores_of(some_crops(1, seed=2)).tolist()


def test_a_late_request_is_answered_once_however_long_its_record_takes(
    server: Server, client: Client
) -> None:
    server.connection.client.client_pause(900)
    client.send(classify(some_crops(1, seed=1), target=CLASSIFY + "?wait=0.3"))
    first = client.answer()

    assert first.status in {200, 202}
    assert client.is_silent(0.6)


def test_a_user_who_is_not_found_in_time_is_refused_for_now_and_nothing_is_read(server: Server) -> None:
    _, issued = UserStore(server.connection).add("stranger", Role.ADMIN, {})
    changes = {"target": CLASSIFY + "?wait=0.3", "token": issued.secret}
    with connected(server.port) as client:
        _warm_up(client, **changes)
        time.sleep(0.6)
        client.send(classify(some_crops(1), **changes))
        assert client.answer().status == 200
        time.sleep(0.6)  # a token is remembered for a second, and no client may be silent for as long
        charged = _charged(server)
        server.connection.client.client_pause(900)
        client.send(classify(some_crops(1, seed=1), **changes))
        refused = client.answer()
        time.sleep(0.8)

    assert (refused.status, refused.json()["code"]) == (503, "store_unavailable")
    assert _charged(server) == charged


def _charged(server: Server) -> float:
    """Return the chip seconds charged to the stranger."""
    charged: Any = server.connection.client.hget("hx:usage:classification", "stranger")
    return float(charged or 0.0)


def test_a_request_in_pieces_is_put_together(client: Client) -> None:
    crops = some_crops(1, seed=5)
    request = classify(crops)
    ends = [0, 30, len(request) - 684, len(request) - 284, len(request)]

    for start, end in pairwise(ends):
        client.send(request[start:end])
        time.sleep(0.05)

    assert client.answer().scores() == scores_of(crops).tolist()


def test_a_client_that_is_silent_is_hung_up_on_and_one_that_leaves_disturbs_no_other(
    server: Server, client: Client
) -> None:
    with connected(server.port) as leaver:
        _warm_up(leaver)
        leaver.send(classify(some_crops(1)))
    client.send(classify(some_crops(1, seed=9)))

    answered, rest = client.answer(), client.rest()

    assert answered.status == 200
    assert not rest or rest.startswith(b"HTTP/1.1 408")


def test_open_connections_do_not_hold_a_server_that_stops(redis_url: str, tmp_path: Path) -> None:
    with ExitStack() as stack:
        server = stack.enter_context(serving(redis_url, tmp_path, {}))
        idle, waiting = (stack.enter_context(connected(server.port)) for _ in range(2))
        _warm_up(idle)
        waiting.send(head("Content-Length: 784"))

        server.process.stop()

        assert server.process.exit_status() == 0
        with suppress(ConnectionResetError):
            assert idle.rest() == b""
