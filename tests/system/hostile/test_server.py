"""What HTTP/1.x allows a client to send: the server understands it, or says that it does not."""

import socket
from collections.abc import Iterator

import pytest

from tests.api.requests import CLASSIFY, TOKEN
from tests.services.samples import scores_of, some_crops
from tests.system.hostile.conftest import Client, Server, classify, connected, head

CROPS = some_crops(2, seed=3)
LARGE = some_crops(100, seed=4)
"""Crops that are collected by a greenlet of their own."""
HEALTH = b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n"


@pytest.fixture
def client(server: Server) -> Iterator[Client]:
    with connected(server.port) as client:
        yield client


@pytest.fixture(autouse=True)
def _nothing_unforeseen(server: Server) -> Iterator[None]:
    """After each test others are served, and the log has neither a traceback nor a token."""
    yield
    assert server.answers()
    assert "Traceback" not in server.log()
    assert TOKEN not in server.log()


def _is_open(client: Client) -> bool:
    """Return whether the connection takes another request."""
    client.send(HEALTH)
    return client.answer().status == 200


@pytest.mark.parametrize("crops", [CROPS, LARGE], ids=["small", "large"])
def test_a_connection_is_kept_until_the_client_wants_it_closed(client: Client, crops: bytes) -> None:
    client.send(classify(crops))
    kept = client.answer()
    client.send(classify(crops, "Connection: close"))
    closed = client.answer()

    assert kept.scores() == closed.scores() == scores_of(crops).tolist()
    assert "connection" not in kept.headers
    assert closed.headers["connection"] == "close"
    assert client.rest() == b""


@pytest.mark.parametrize("target", [CLASSIFY, "/healthz"])
def test_a_client_of_http_1_0_is_answered_and_the_connection_closed(client: Client, target: str) -> None:
    if target == CLASSIFY:
        client.send(head("Content-Length: 1568", version="1.0"), CROPS)
    else:
        client.send(head(method="GET", target=target, version="1.0"))

    answer = client.answer()

    assert (answer.status, answer.headers["connection"]) == (200, "close")
    assert "transfer-encoding" not in answer.headers
    assert client.rest() == b""


@pytest.mark.parametrize("target", [CLASSIFY, "/healthz"])
def test_a_client_of_http_1_0_may_keep_the_connection(client: Client, target: str) -> None:
    for _ in range(2):
        if target == CLASSIFY:
            client.send(head("Content-Length: 1568", "Connection: keep-alive", version="1.0"), CROPS)
        else:
            client.send(head("Connection: keep-alive", method="GET", target=target, version="1.0"))

        answer = client.answer()

        assert answer.status == 200
        assert answer.headers["connection"].lower() == "keep-alive"


@pytest.mark.parametrize(
    "framing", ["Content-Length: 1568", "Transfer-Encoding: chunked"], ids=["length", "chunked"]
)
def test_a_client_that_asks_before_it_sends_a_body_is_told_to_go_on(client: Client, framing: str) -> None:
    client.send(head(framing, "Expect: 100-continue"))
    go_on = client.answer()
    client.send(CROPS if "Length" in framing else b"620\r\n" + CROPS + b"\r\n0\r\n\r\n")
    answer = client.answer()

    assert (go_on.status, go_on.headers) == (100, {})
    assert answer.scores() == scores_of(CROPS).tolist()
    assert _is_open(client)


def test_a_body_that_comes_with_the_question_is_taken_without_an_answer_to_it(client: Client) -> None:
    client.send(classify(CROPS, "Expect: 100-continue"))

    assert client.answer().scores() == scores_of(CROPS).tolist()
    assert _is_open(client)


@pytest.mark.parametrize(
    ("request_", "status"),
    [
        (head("Content-Length: 784", "Expect: 100-continue", token="wrong"), 401),  # noqa: S106
        (head("Content-Length: 99999999", "Expect: 100-continue"), 413),
        (head("Content-Length: 784", "Expect: 100-continue", target="/v1/nothing"), 404),
    ],
    ids=["token", "size", "address"],
)
def test_a_client_whose_request_is_refused_is_not_asked_for_its_body(
    client: Client, request_: bytes, status: int
) -> None:
    client.send(request_)

    answer = client.answer()

    assert (answer.status, answer.headers["connection"]) == (status, "close")
    assert client.rest() == b""


def test_requests_of_all_kinds_sent_at_once_are_answered_in_their_order(client: Client) -> None:
    chunked = head("Transfer-Encoding: chunked") + b"620\r\n" + CROPS + b"\r\n0\r\n\r\n"
    requests = [
        (classify(CROPS), 200),
        (HEALTH, 200),
        (classify(LARGE), 200),
        (head(method="DELETE", target="/v1/models/nothing"), 404),
        (chunked, 200),
        (classify(b"1"), 422),
        (head(method="GET", target=CLASSIFY), 405),
        (classify(CROPS), 200),
    ]

    client.send(*(request for request, _ in requests))
    answers = [client.answer() for _ in requests]

    assert [answer.status for answer in answers] == [status for _, status in requests]
    assert answers[0].scores() == answers[4].scores() == answers[7].scores() == scores_of(CROPS).tolist()
    assert answers[2].scores() == scores_of(LARGE).tolist()


def test_all_requests_of_a_client_that_has_finished_sending_are_answered(client: Client) -> None:
    client.send(classify(CROPS), HEALTH, classify(LARGE), classify(CROPS))
    client.socket.shutdown(socket.SHUT_WR)

    answers = [client.answer() for _ in range(4)]

    assert [answer.status for answer in answers] == [200] * 4
    assert client.rest() == b""


def test_what_is_wrong_behind_a_request_is_said_after_its_answer(client: Client) -> None:
    client.send(classify(CROPS), b"nonsense\r\n\r\n")
    client.socket.shutdown(socket.SHUT_WR)

    answers = [client.answer(), client.answer()]

    assert [answer.status for answer in answers] == [200, 400]
    assert answers[1].headers["connection"] == "close"
    assert client.rest() == b""


@pytest.mark.parametrize("target", ["/healthz", "/docs", "/v1/nothing"])
def test_the_answer_to_head_is_that_to_get_without_its_body(client: Client, target: str) -> None:
    answers = []
    for method in ("HEAD", "GET"):
        client.send(head(method=method, target=target))
        answers.append(client.answer(has_body=method == "GET"))

    without, whole = answers
    passing = {"date": "", "x-request-id": ""}
    assert without.status == whole.status
    assert {**without.headers, **passing} == {**whole.headers, **passing}
    assert len(whole.body) == int(without.headers["content-length"]) > 0


@pytest.mark.parametrize(
    "request_",
    [
        head(method="GET", target="/healthz"),
        classify(CROPS),
        classify(LARGE),
        head("Transfer-Encoding: chunked") + b"620\r\n" + CROPS + b"\r\n0\r\n\r\n",
        classify(CROPS) + HEALTH,
    ],
    ids=["health", "small", "large", "chunked", "more"],
)
def test_a_client_that_wants_http_2_is_answered_in_http_1_1_and_the_connection_closed(
    client: Client, request_: bytes
) -> None:
    upgrade = (
        b"Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABkAAQCAAAAAAIAAAAA\r\n"
    )
    start, _, body = request_.partition(b"\r\n\r\n")

    client.send(start, b"\r\n", upgrade, b"\r\n", body)

    answer = client.answer()
    assert (answer.status, answer.headers["connection"]) == (200, "close")
    if body:
        assert answer.scores() == scores_of(LARGE if LARGE in body else CROPS).tolist()
    assert client.rest() == b""


def test_the_preface_of_http_2_is_refused(client: Client) -> None:
    client.send(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n")

    assert client.answer().status in {400, 505}
    assert client.rest() == b""


@pytest.mark.parametrize("host", ["x", "somewhere.else:8080", "[::1]:80"])
def test_a_target_with_a_host_means_its_path(client: Client, host: str) -> None:
    client.send(classify(CROPS, target=f"http://{host}{CLASSIFY}?wait=20"))
    crops = client.answer()
    client.send(head(method="GET", target=f"http://{host}/healthz"))
    health = client.answer()

    assert crops.scores() == scores_of(CROPS).tolist()
    assert health.status == 200


@pytest.mark.parametrize(
    ("method", "target", "status"),
    [
        ("GET", "http://[/healthz", 400),
        ("GET", "http://[::g]/healthz", 400),
        ("GET", "http://", 400),
        ("GET", "healthz", 400),
        ("GET", "ftp://x/healthz", 400),
        ("CONNECT", "x:443", 400),
        ("OPTIONS", "*", 404),
        ("GET", "/%zz", 404),
        ("GET", "/%ff%fe", 404),
    ],
)
def test_a_target_that_is_no_path_of_the_service_is_refused(
    client: Client, method: str, target: str, status: int
) -> None:
    client.send(head(method=method, target=target))

    assert client.answer().status == status


@pytest.mark.parametrize("target", ["/v1/models/%64igits/versions/%31/classify", f"//{CLASSIFY}"])
def test_a_target_that_is_written_otherwise_means_the_same(client: Client, target: str) -> None:
    client.send(classify(CROPS, target=target))

    assert client.answer().scores() == scores_of(CROPS).tolist()


def test_what_follows_a_chunked_body_in_its_trailer_is_ignored(client: Client) -> None:
    trailer = b"0\r\nContent-Type: image/png\r\nHost: y\r\nAuthorization: Bearer wrong\r\nX-A: " + b"a" * 900
    client.send(head("Transfer-Encoding: chunked", "Trailer: X-A"), b"620\r\n", CROPS, b"\r\n", trailer)
    client.send(b"\r\n\r\n")

    answer = client.answer()

    assert answer.scores() == scores_of(CROPS).tolist()
    assert _is_open(client)


@pytest.mark.parametrize(
    "headers",
    [
        ("Content-Length: 784", "Transfer-Encoding: chunked"),
        ("Transfer-Encoding: chunked", "Content-Length: 784"),
        ("Transfer-Encoding: chunked, gzip",),
        ("Transfer-Encoding: chunked", "Transfer-Encoding: chunked"),
        ("Content-Length:",),
        ("Content-Length: 7_84",),
    ],
    ids=" ".join,
)
def test_a_body_whose_length_is_ambiguous_is_refused(client: Client, headers: tuple[str, ...]) -> None:
    client.send(head(*headers), b"310\r\n", bytes(784), b"\r\n0\r\n\r\n")

    assert client.answer().status == 400
    assert not client.rest().startswith(b"HTTP/1.1 2")


def test_a_post_without_a_body_has_none(client: Client) -> None:
    client.send(head())

    answer = client.answer()

    assert (answer.status, answer.json()["code"]) == (422, "invalid_images")
    assert _is_open(client)


def test_headers_are_found_however_their_names_are_written_and_repeated_ones_are_joined(
    client: Client,
) -> None:
    request = classify(CROPS, "accept: a/b", "ACCEPT: c/d", "x-REQUEST-id: given-id-1")
    client.send(request.replace(b"Authorization: Bearer", b"aUTHORIZATION:bearer  "))

    answer = client.answer()

    assert answer.scores() == scores_of(CROPS).tolist()
    assert answer.headers["x-request-id"] == "given-id-1"


def test_two_tokens_are_none(client: Client) -> None:
    client.send(classify(CROPS, f"Authorization: Bearer {TOKEN}"))

    assert client.answer().status == 401


def test_empty_lines_between_requests_are_ignored(client: Client) -> None:
    client.send(b"\r\n", classify(CROPS), b"\r\n\r\n", HEALTH)

    assert [client.answer().status, client.answer().status] == [200, 200]
