"""Which heads are kept, and what is answered from memory."""

import json
import threading
import time
from typing import Any

import pytest
from flask import Flask
from werkzeug.datastructures import Headers
from werkzeug.test import EnvironBuilder

from api import repeated
from api.crop_lane import CropLane
from api.repeated import Asked, RepeatedCalls
from services.answers import Answer
from tests.api.requests import CLASSIFY, RAW, TOKEN
from tests.services.samples import scores_of, some_crops

LONG_S = 30.0
"""Nobody waits so long unless the test fails."""

HEAD = b"POST ... HTTP/1.1\r\n\r\n"


@pytest.fixture
def calls(app: Flask) -> RepeatedCalls:
    lane = app.wsgi_app
    assert isinstance(lane, CropLane)
    return RepeatedCalls(lane)


def _environ(**changes: str) -> dict[str, Any]:
    headers = Headers({"Authorization": f"Bearer {TOKEN}"})
    builder = EnvironBuilder(CLASSIFY, method="POST", data=bytes(784), content_type=RAW, headers=headers)
    return {**builder.get_environ(), **changes}


def _ask(calls: RepeatedCalls, crops: bytes, **changes: str) -> Asked:
    """A request under a head that was learned, when there is something to say of it."""
    calls.learn(HEAD, _environ(**changes))
    call = calls.find(HEAD)
    assert call is not None
    ended = threading.Event()
    asked = Asked(call, crops, ended.set)
    calls.ask([asked])
    assert ended.wait(LONG_S)
    return asked


@pytest.mark.usefixtures("chip")
@pytest.mark.parametrize("count", [1, 64])
def test_a_head_that_was_learned_answers_other_crops(calls: RepeatedCalls, count: int) -> None:
    answered = calls.answer_at_once(_ask(calls, some_crops(count, seed=7)))

    assert answered is not None
    head, _, content = answered.partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 200 OK\r\n")
    assert f"Content-Length: {len(content)}".encode() in head
    predictions = json.loads(content)["predictions"]
    assert [one["scores"] for one in predictions] == scores_of(some_crops(count, seed=7)).tolist()


@pytest.mark.usefixtures("models")
def test_what_goes_wrong_is_a_problem_document_in_full(calls: RepeatedCalls) -> None:
    asked = _ask(calls, bytes(784), HTTP_AUTHORIZATION="Bearer of-somebody-who-left")

    at_once, answer = calls.answer_at_once(asked), calls.answer(asked)

    assert at_once is None
    head, _, content = answer.partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 401 ")
    assert f"Content-Length: {len(content)}".encode() in head
    assert json.loads(content)["code"] == "not_authenticated"


@pytest.mark.usefixtures("models")
def test_an_answer_that_cannot_be_read_is_this_request_s_error_and_nobody_else_s(
    calls: RepeatedCalls,
) -> None:
    calls.learn(HEAD, _environ())
    call = calls.find(HEAD)
    assert call is not None
    asked = Asked(call, some_crops(1), lambda: None)
    calls.ask([asked])
    asked.reply.put(0, Answer(digits=b"1"))  # it does not say where it comes from

    at_once, answer = calls.answer_at_once(asked), calls.answer(asked)

    assert at_once is None
    assert answer.startswith(b"HTTP/1.1 500 ")


@pytest.mark.usefixtures("models")
def test_what_nobody_reads_in_time_is_answered_with_its_job(calls: RepeatedCalls) -> None:
    calls.learn(HEAD, _environ(QUERY_STRING="wait=0.01"))
    call = calls.find(HEAD)
    assert call is not None
    asked = Asked(call, some_crops(1), lambda: None)
    calls.ask([asked])

    head, _, content = calls.answer(asked).partition(b"\r\n\r\n")

    assert asked.is_late(time.monotonic() + 0.02)
    assert head.startswith(b"HTTP/1.1 202 ")
    assert json.loads(content)["state"] == "queued"


@pytest.mark.parametrize(
    "changes",
    [
        {"HTTP_IDEMPOTENCY_KEY": "k"},
        {"HTTP_EXPECT": "100-continue"},
        {"HTTP_TRANSFER_ENCODING": "chunked"},
        {"HTTP_CONNECTION": "close"},
        {"SERVER_PROTOCOL": "HTTP/1.0"},
        {"CONTENT_TYPE": "image/png"},
        {"CONTENT_LENGTH": str(784 * 65)},
        {"CONTENT_LENGTH": ""},
        {"REQUEST_METHOD": "PUT"},
        {"PATH_INFO": "/v1/jobs"},
    ],
)
def test_a_head_that_asks_for_more_is_read_each_time(calls: RepeatedCalls, changes: dict[str, str]) -> None:
    calls.learn(HEAD, _environ(**changes))

    assert calls.find(HEAD) is None


def test_the_head_of_a_session_is_read_each_time(calls: RepeatedCalls) -> None:
    environ = _environ(HTTP_COOKIE="hxserve-session-web=a-session")
    del environ["HTTP_AUTHORIZATION"]

    calls.learn(HEAD, environ)

    assert calls.find(HEAD) is None


def test_the_oldest_head_makes_room(calls: RepeatedCalls, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(repeated, "_MOST_HEADS", 2)

    for number in range(3):
        calls.learn(b"%d" % number, _environ())

    assert [calls.find(b"%d" % number) is None for number in range(3)] == [True, False, False]
