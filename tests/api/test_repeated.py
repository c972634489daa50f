"""Which heads are kept."""

import pytest

from api import repeated
from api.repeated import RepeatedCalls
from tests.api.requests import environ_of_crops

HEAD = b"POST ... HTTP/1.1\r\n\r\n"


@pytest.fixture
def calls() -> RepeatedCalls:
    return RepeatedCalls()


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
    calls.learn(HEAD, environ_of_crops(**changes))

    assert calls.find(HEAD) is None


def test_the_head_of_a_session_is_read_each_time(calls: RepeatedCalls) -> None:
    environ = environ_of_crops(HTTP_COOKIE="hxserve-session-web=a-session")
    del environ["HTTP_AUTHORIZATION"]

    calls.learn(HEAD, environ)

    assert calls.find(HEAD) is None


def test_the_oldest_head_makes_room(calls: RepeatedCalls, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(repeated, "_MOST_HEADS", 2)

    for number in range(3):
        calls.learn(b"%d" % number, environ_of_crops())

    assert [calls.find(b"%d" % number) is None for number in range(3)] == [True, False, False]
