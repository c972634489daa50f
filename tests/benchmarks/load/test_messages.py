import pytest
from hypothesis import given
from hypothesis import strategies as st

from benchmarks.load.messages import build_request, take_response

PLAIN = b"HTTP/1.1 200 OK\r\nContent-Type: a\r\nContent-Length: 5\r\n\r\nhello"
CHUNKED = b"HTTP/1.1 429 Too Many\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nhel\r\n2;x=y\r\nlo\r\n0\r\n\r\n"


def test_a_request_carries_its_length_and_its_headers() -> None:
    request = build_request("/classify?wait=1", b"\x00\xff", headers={"Authorization": "Bearer x"})

    head, _, body = request.partition(b"\r\n\r\n")
    assert head.startswith(b"POST /classify?wait=1 HTTP/1.1\r\n")
    assert b"\r\nContent-Length: 2" in head
    assert b"\r\nAuthorization: Bearer x" in head
    assert body == b"\x00\xff"


@pytest.mark.parametrize(("response", "status"), [(PLAIN, 200), (CHUNKED, 429)])
def test_a_response_is_taken_apart(response: bytes, status: int) -> None:
    taken = take_response(response)

    assert taken is not None
    assert (taken.status, taken.body, taken.closing) == (status, b"hello", False)


@given(st.sampled_from([PLAIN, CHUNKED]), st.data())
def test_a_response_that_is_not_whole_is_waited_for(response: bytes, data: st.DataObject) -> None:
    cut = data.draw(st.integers(0, len(response) - 1))

    assert take_response(response[:cut]) is None


def test_a_response_without_a_body_ends_with_its_head() -> None:
    taken = take_response(b'HTTP/1.1 304 Not Modified\r\nETag: "7"\r\n\r\n')

    assert taken is not None
    assert (taken.status, taken.head, taken.body) == (304, b'HTTP/1.1 304 Not Modified\r\nETag: "7"', b"")


def test_a_server_that_hangs_up_is_noticed() -> None:
    taken = take_response(b"HTTP/1.1 400 Bad\r\nConnection: close\r\nContent-Length: 0\r\n\r\n")

    assert taken is not None
    assert taken.closing


@pytest.mark.parametrize("nonsense", [b"SSH-2.0\r\n\r\n", b"HTTP/1.1 200 OK\r\nServer: a\r\n\r\n"])
def test_what_has_no_known_length_is_refused(nonsense: bytes) -> None:
    with pytest.raises(ValueError, match="response"):
        take_response(nonsense)
