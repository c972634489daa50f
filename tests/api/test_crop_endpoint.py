"""Requests for crops that come at the same time: accepted together, and each judged and answered by itself."""

from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from typing import Any

import msgpack
import pytest

from services.crops.answers import Answer as CropAnswer
from services.models.files import ModelStore
from services.users.accounts import Role
from services.users.store import UserStore
from tests.api.requests import CLASSIFY, TOKEN
from tests.services.samples import an_origin, scores_of, some_crops
from tests.system.conftest import wait_until
from tests.system.hostile.conftest import Answer, Client, Server, classify, connected, head, serving

MOST_WAITING = 200
FIRST = "/v1/models/digits/versions/1/classify"
ANSWERED = 'hxserve_crop_requests_total{model="digits",outcome="answered"}'
FAILED = 'hxserve_crop_requests_total{model="digits",outcome="failed"}'
CROPS_ANSWERED = 'hxserve_crops_answered_total{model="digits"}'
PAUSE_MS = 500
"""Redis is held up for so long, so that the requests meanwhile are accepted in few steps."""


@pytest.fixture(scope="module")
def server(redis_url: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server with two versions of a model, and room for few crops."""
    folder = tmp_path_factory.mktemp("api")
    with serving(redis_url, folder, {"HXSERVE_MAX_WAITING_CROPS": str(MOST_WAITING)}) as server:
        ModelStore(folder / "models").publish(an_origin(job="b"), b"weights of b")
        yield server


@contextmanager
def _sent_together(server: Server, requests: Sequence[bytes]) -> Iterator[list[Client]]:
    """Clients whose requests come while Redis is held up."""
    with ExitStack() as stack:
        clients = [stack.enter_context(connected(server.port)) for _ in requests]
        server.connection.client.client_pause(PAUSE_MS)
        for client, request in zip(clients, requests, strict=True):
            client.send(request)
        yield clients


def _answers(server: Server, requests: Sequence[bytes]) -> list[Answer]:
    with _sent_together(server, requests) as clients:
        return [client.answer() for client in clients]


def _token(server: Server, name: str, **quotas: float) -> str:
    """Return the token of a new user."""
    return UserStore(server.connection).add(name, Role.USER, quotas)[1].secret


def _counted(server: Server, name: str) -> float:
    """Return a count among the server's metrics."""
    with connected(server.port) as client:
        client.send(head(method="GET", target="/metrics"))
        lines = client.answer().body.decode().splitlines()
    return sum(float(line.split()[-1]) for line in lines if line.startswith(name))


def _waiting(server: Server, lane: str = "digits@2:admin") -> int:
    """Return the number of crops that wait in a lane."""
    return sum(int(entry[b"count"]) for entry in _entries(server, lane))


def _entries(server: Server, lane: str = "digits@2:admin") -> list[dict[bytes, bytes]]:
    """Return the entries that wait in a lane."""
    stored: Any = server.connection.client.xrange(f"hx:crops:{lane}")
    return [fields for _, fields in stored]


@pytest.mark.parametrize(
    ("count", "number", "is_shared"),
    [(1, 1, False), (64, 1, False), (1, 100, True), (3, 50, True), (40, 3, False)],
)
def test_each_request_is_answered_with_what_was_read_in_its_own_crops(
    server: Server, count: int, number: int, is_shared: bool
) -> None:
    crops = [some_crops(count, seed) for seed in range(number)]
    before = _counted(server, ANSWERED), _counted(server, CROPS_ANSWERED)

    with server.chip.held(), _sent_together(server, [classify(own) for own in crops]) as clients:
        wait_until(lambda: _waiting(server) == count * number)
        entries = len(_entries(server))
        server.chip.work_once()
        answers = [client.answer() for client in clients]

    assert (entries < number) == is_shared
    assert [answer.scores() for answer in answers] == [scores_of(own).tolist() for own in crops]
    after = _counted(server, ANSWERED), _counted(server, CROPS_ANSWERED)
    assert (after[0] - before[0], after[1] - before[1]) == (number, number * count)


def test_requests_for_several_versions_are_told_apart(server: Server) -> None:
    targets = [CLASSIFY, FIRST] * 5

    answers = _answers(server, [classify(some_crops(1), target=target) for target in targets])

    assert [answer.json()["version"] for answer in answers] == ["2", "1"] * 5


def test_a_request_without_a_right_is_refused_in_full_and_its_neighbours_are_read(server: Server) -> None:
    requests = [classify(some_crops(1, seed)) for seed in range(3)]
    requests[1] = classify(some_crops(1), token="of-somebody-who-left")  # noqa: S106

    answers = _answers(server, requests)

    assert [answer.status for answer in answers] == [200, 401, 200]
    assert answers[1].headers["content-type"] == "application/problem+json"
    assert answers[1].headers["www-authenticate"] == 'Bearer realm="hxserve"'
    assert answers[1].json()["code"] == "not_authenticated"


def test_requests_beyond_their_users_rate_are_refused_and_others_are_read(server: Server) -> None:
    token = _token(server, "fast", requests_per_second=1.0)
    own = [classify(some_crops(1), target=FIRST, token=token) for _ in range(5)]

    answers = _answers(server, [*own, classify(some_crops(1))])

    assert Counter(answer.status for answer in answers[:5]) == {200: 2, 429: 3}
    assert answers[5].status == 200
    for answer in answers[:5]:
        if answer.status == 429:
            assert (answer.json()["code"], answer.json()["quota"]) == (
                "quota_exceeded",
                "requests_per_second",
            )
            assert int(answer.headers["retry-after"]) >= 1


@pytest.mark.parametrize(
    ("user", "quotas", "count", "number", "accepted", "code"),
    [
        ("admin", {}, 20, 12, 10, "queue_full"),
        ("many", {"max_waiting_crops": 5}, 2, 4, 2, "quota_exceeded"),
    ],
    ids=["room", "quota"],
)
def test_requests_that_do_not_fit_together_are_accepted_as_far_as_they_fit(
    server: Server, user: str, quotas: dict[str, float], count: int, number: int, accepted: int, code: str
) -> None:
    token = TOKEN if user == "admin" else _token(server, user, **quotas)
    crops = [some_crops(count, seed) for seed in range(number)]
    requests = [classify(own, token=token) for own in crops]
    before = _counted(server, ANSWERED), _counted(server, FAILED)

    with server.chip.held(), _sent_together(server, requests) as clients:
        wait_until(lambda: _waiting(server, f"digits@2:{user}") == accepted * count)
        wait_until(lambda: _counted(server, FAILED) - before[1] == number - accepted)
        server.chip.work_once()
        answers = [client.answer() for client in clients]

    assert Counter(answer.status for answer in answers) == {200: accepted, 429: number - accepted}
    for own, answer in zip(crops, answers, strict=True):
        if answer.status == 200:
            assert answer.scores() == scores_of(own).tolist()
        else:
            assert answer.json()["code"] == code
    assert _counted(server, ANSWERED) - before[0] == accepted
    assert _counted(server, FAILED) - before[1] == number - accepted


def test_an_answer_that_cannot_be_read_is_an_error_of_those_that_wait_for_it(server: Server) -> None:
    requests = [classify(some_crops(1, seed)) for seed in range(4)]
    with server.chip.held(), _sent_together(server, requests) as clients:
        wait_until(lambda: _waiting(server) == 4)
        for entry in _entries(server):
            bad = CropAnswer(digits=bytes(int(entry[b"count"])))  # it does not say where it comes from
            batch = msgpack.packb([(entry[b"id"].decode(), 0, bad.pack())])
            server.connection.client.xadd(entry[b"reply"], {"batch": batch})

        answers = [client.answer() for client in clients]

    assert [(answer.status, answer.json()["code"]) for answer in answers] == [(500, "internal_error")] * 4


def test_a_late_request_is_answered_with_its_job_and_those_beside_it_with_what_was_read(
    server: Server,
) -> None:
    crops = [some_crops(1, seed) for seed in range(3)]
    requests = [classify(own) for own in crops]
    requests[1] = classify(crops[1], target=CLASSIFY + "?wait=1")
    with server.chip.held(), _sent_together(server, requests) as clients:
        wait_until(lambda: _waiting(server) == 3)
        late = clients[1].answer()
        server.chip.work_once()
        patient = [clients[0].answer(), clients[2].answer()]
        is_silent = clients[1].is_silent(0.3)
    with connected(server.port) as client:
        client.send(head(method="GET", target=late.headers["location"]))
        job = client.answer().json()

    assert (late.status, late.json()["state"], late.json()["params"]["crops"]) == (202, "queued", 1)
    assert [answer.scores() for answer in patient] == [scores_of(crops[n]).tolist() for n in (0, 2)]
    assert is_silent
    assert job["state"] == "succeeded"
    [prediction] = job["result"]["predictions"]
    assert [prediction["scores"]] == scores_of(crops[1]).tolist()


def test_requests_whose_answers_come_at_the_last_moment_are_answered_and_counted_once(server: Server) -> None:
    before = _counted(server, ANSWERED), _jobs(server)

    with connected(server.port) as client:
        statuses = Counter[int]()
        for _ in range(30):
            client.send(classify(some_crops(1), target=CLASSIFY + "?wait=0.001"))
            statuses[client.answer().status] += 1

    assert set(statuses) <= {200, 202}
    wait_until(lambda: _counted(server, ANSWERED) - before[0] == 30)
    assert _jobs(server) - before[1] == statuses[202]


def _jobs(server: Server) -> int:
    return int(server.connection.client.zcard("hx:jobs"))


_CHUNKED = b"310\r\n" + some_crops(1, 7) + b"\r\n0\r\n\r\n"


@pytest.mark.parametrize(
    ("request_", "status", "crops"),
    [
        (classify(some_crops(1, 7), "Idempotency-Key: k"), 200, some_crops(1, 7)),
        (classify(some_crops(1, 7), "Expect: 100-continue"), 200, some_crops(1, 7)),
        (head("Transfer-Encoding: chunked") + _CHUNKED, 200, some_crops(1, 7)),
        (classify(some_crops(65, 7)), 200, some_crops(65, 7)),
        (head("Content-Length: 784", version="1.0") + some_crops(1, 7), 200, some_crops(1, 7)),
        (classify(some_crops(1, 7), "Connection: close"), 200, some_crops(1, 7)),
        (head("Content-Length: 3", kind="image/png") + b"png", 422, b""),
        (head(), 422, b""),
        (head("Content-Length: 784", method="PUT") + some_crops(1), 405, b""),
        (head("Content-Length: 784", target="/v1/jobs") + some_crops(1), 415, b""),
        (classify(some_crops(1), target=CLASSIFY + "?wait=never"), 422, b""),
    ],
    ids=["key", "expect", "chunked", "parts", "1.0", "close", "png", "no length", "put", "job", "query"],
)
def test_a_request_that_differs_from_those_before_is_answered_as_it_asks(
    server: Server, request_: bytes, status: int, crops: bytes
) -> None:
    with connected(server.port) as client:
        client.send(classify(some_crops(1)), classify(some_crops(1)), request_)
        before = [client.answer().status, client.answer().status]
        answer = client.answer()

    assert before == [200, 200]
    assert answer.status == status
    if crops:
        assert answer.scores() == scores_of(crops).tolist()


def test_a_session_sends_crops_from_pages_of_the_service_alone(server: Server) -> None:
    form = f"token={TOKEN}"
    with connected(server.port) as client:
        client.send(
            f"POST /login HTTP/1.1\r\nHost: x\r\nSec-Fetch-Site: same-origin\r\nContent-Length: {len(form)}\r\n"
            f"Content-Type: application/x-www-form-urlencoded\r\n\r\n{form}".encode()
        )
        cookie = client.answer().headers["set-cookie"].partition(";")[0]
        answers = []
        for site in ("same-origin", "cross-site"):
            request = classify(some_crops(1), f"Cookie: {cookie}", f"Sec-Fetch-Site: {site}")
            client.send(request.replace(f"Authorization: Bearer {TOKEN}\r\n".encode(), b""))
            answers.append(client.answer())

    assert answers[0].scores() == scores_of(some_crops(1)).tolist()
    assert (answers[1].status, answers[1].json()["code"]) == (403, "cross_site")
