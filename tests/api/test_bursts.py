"""Requests with known heads that come together: sent as one, answered each for itself."""

import json
import threading
import time
from typing import Any

import pytest
from flask import Flask

from api.application import Application
from api.bursts import Asked, Bursts
from api.crop_lane import CropLane
from api.repeated import Call, RepeatedCalls
from services.crops.answers import Answer
from tests.api.requests import Enter, environ_of_crops
from tests.services.chip import Chip
from tests.services.samples import scores_of, some_crops

LONG_S = 30.0
"""Nobody waits so long unless the test fails."""

HEAD = b"POST ... HTTP/1.1\r\n\r\n"

FIRST = "/v1/models/digits/versions/1/classify"


class Client:
    """Asks, and keeps what it is told."""

    def __init__(self, call: Call, crops: bytes) -> None:
        self.told = threading.Event()
        self.response: bytes | None = None
        self.asked = Asked(call, crops, self._take)

    def _take(self, asked: Asked, response: bytes | None) -> None:
        assert asked is self.asked
        self.response = response
        self.told.set()

    def heard(self) -> bytes | None:
        """The response, once there is one; None when it is still to be made."""
        assert self.told.wait(LONG_S)
        return self.response


@pytest.fixture
def bursts(app: Flask) -> Bursts:
    lane = app.wsgi_app
    assert isinstance(lane, CropLane)
    return Bursts(lane)


def _call(count: int = 1, **changes: str) -> Call:
    """A head that was learned, of requests with so many crops."""
    calls = RepeatedCalls()
    calls.learn(HEAD, environ_of_crops(CONTENT_LENGTH=str(count * 784), **changes))
    call = calls.find(HEAD)
    assert call is not None
    return call


def _clients(call: Call, number: int, seed: int = 0) -> list[Client]:
    return [Client(call, some_crops(call.crops, seed=seed + each)) for each in range(number)]


def _content(response: bytes | None, status: bytes = b"200 OK") -> dict[str, Any]:
    assert response is not None
    head, _, content = response.partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 %s" % status)
    assert f"Content-Length: {len(content)}".encode() in head
    read: dict[str, Any] = json.loads(content)
    return read


@pytest.mark.usefixtures("chip")
@pytest.mark.parametrize(("count", "number"), [(1, 1), (64, 1), (1, 100), (3, 50), (40, 3)])
def test_each_is_answered_with_what_was_read_in_its_own_crops(
    bursts: Bursts, application: Application, count: int, number: int
) -> None:
    clients = _clients(_call(count), number)

    bursts.ask([client.asked for client in clients])

    for client in clients:
        predictions = _content(client.heard())["predictions"]
        assert [one["scores"] for one in predictions] == scores_of(client.asked.crops).tolist()
    counted = application.statistics.of("digits", "2")
    assert (counted.succeeded.count, counted.crops) == (number, number * count)


@pytest.mark.usefixtures("chip")
def test_heads_that_differ_are_told_apart(bursts: Bursts) -> None:
    one, other = (
        Client(_call(), some_crops(1)),
        Client(_call(PATH_INFO="/v1/models/digits/versions/1/classify"), some_crops(1)),
    )

    bursts.ask([one.asked, other.asked])

    assert _content(one.heard())["version"] == "2"
    assert _content(other.heard())["version"] == "1"


@pytest.mark.usefixtures("models")
def test_what_goes_wrong_is_a_problem_document_in_full(bursts: Bursts) -> None:
    client = Client(_call(HTTP_AUTHORIZATION="Bearer of-somebody-who-left"), bytes(784))

    bursts.ask([client.asked])

    assert client.heard() is None
    assert _content(bursts.answer(client.asked), b"401 ")["code"] == "not_authenticated"


@pytest.mark.usefixtures("chip")
def test_who_sends_too_often_is_refused_and_the_others_are_read(bursts: Bursts, enter: Enter) -> None:
    user = enter("ada", requests_per_second=1.0)
    call = _call(HTTP_AUTHORIZATION=user.environ_base["HTTP_AUTHORIZATION"])
    clients = _clients(call, 5)

    bursts.ask([client.asked for client in clients])

    answers = [client.heard() for client in clients]
    assert [answer is None for answer in answers] == [False, False, True, True, True]
    assert _content(bursts.answer(clients[4].asked), b"429 ")["code"] == "quota_exceeded"


@pytest.mark.parametrize("limits", [{"max_waiting_crops": 7}])
def test_what_does_not_fit_together_is_taken_as_far_as_it_fits(
    bursts: Bursts, application: Application, idle_chip: Chip
) -> None:
    clients = _clients(_call(2), 5)

    bursts.ask([client.asked for client in clients])

    refused = [client for client in clients if client.told.wait(0.5)]
    assert [client.heard() for client in refused] == [None, None]
    assert {_content(bursts.answer(client.asked), b"429 ")["code"] for client in refused} == {"queue_full"}
    idle_chip.work_once()
    for client in clients:
        if client not in refused:
            assert len(_content(client.heard())["predictions"]) == 2
    counted = application.statistics.of("digits", "2")
    assert (counted.succeeded.count, counted.failed.count) == (3, 2)


@pytest.mark.usefixtures("models")
def test_an_answer_that_cannot_be_read_is_an_error_of_those_who_wait_for_it(bursts: Bursts) -> None:
    clients = _clients(_call(), 2)
    bursts.ask([client.asked for client in clients])
    burst = clients[0].asked.burst
    assert burst is not None

    burst.reply.put(0, Answer(digits=b"11"))  # it does not say where it comes from

    for client in clients:
        assert client.heard() is None
        assert bursts.answer(client.asked).startswith(b"HTTP/1.1 500 ")


def test_what_nobody_reads_in_time_is_answered_with_its_job(bursts: Bursts, idle_chip: Chip) -> None:
    call = _call(QUERY_STRING="wait=0.01")
    clients = _clients(call, 3)
    bursts.ask([client.asked for client in clients])
    late, *patient = clients

    job = _content(bursts.answer(late.asked), b"202 ")

    assert late.asked.is_late(time.monotonic() + 0.02)
    assert (job["state"], job["params"]["crops"]) == ("queued", 1)
    idle_chip.work_once()
    for client in patient:
        [prediction] = _content(client.heard())["predictions"]
        assert prediction["scores"] == scores_of(client.asked.crops)[0].tolist()
    assert not late.told.is_set()
