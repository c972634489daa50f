"""The load generator against a gRPC server that is not ours."""

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any

import grpc
import pytest

from benchmarks.load import LoadPlan, build_call
from benchmarks.load.clients import run_plan

LARGE = 200_000
"""Bytes, more than the windows of flow control are wide at first."""


class _Everything(grpc.GenericRpcHandler):  # type: ignore[misc] # grpcio ships no types
    def __init__(self, answer: Callable[[bytes, Any], bytes]) -> None:
        self._answer = answer

    def service(self, call_details: Any) -> Any:
        """Answers every call."""
        del call_details
        return grpc.unary_unary_rpc_method_handler(self._answer)


@contextmanager
def answering(answer: Callable[[bytes, Any], bytes]) -> Iterator[int]:
    """The port of a server that answers each call so."""
    server = grpc.server(ThreadPoolExecutor(4), handlers=(_Everything(answer),))
    port: int = server.add_insecure_port("127.0.0.1:0")
    server.start()
    try:
        yield port
    finally:
        server.stop(None).wait()


def a_plan(port: int, *messages: bytes) -> LoadPlan:
    """Four clients that send these in turn, and expect the first byte of each back as a number."""
    return LoadPlan(
        port=port,
        requests=tuple(build_call("/a.B/C", message, headers={"Who": "me"}) for message in messages),
        answers=tuple((str(message[0]),) for message in messages),
        answer_pattern=r"<(\d+)>",
        clients=4,
        seconds=0.3,
        warmup_s=0.1,
        is_grpc=True,
    )


@pytest.mark.parametrize("size", [1, LARGE])
def test_each_call_is_answered_and_checked(size: int) -> None:
    names: set[str] = set()

    def answer(message: bytes, context: Any) -> bytes:
        names.update(value for name, value in context.invocation_metadata() if name == "who")
        assert len(message) == size
        return b"<%d>" % message[0] + bytes(size)

    with answering(answer) as port:
        report = run_plan(a_plan(port, bytes([3]) * size, bytes([5]) * size))

    assert report.requests > 0
    assert report.checked == report.answered
    assert (report.errors, report.wrong, names) == (0, 0, {"me"})


def test_a_refusal_is_an_error() -> None:
    def refuse(message: bytes, context: Any) -> bytes:
        del message
        context.abort(grpc.StatusCode.UNAVAILABLE, "not today")
        raise AssertionError

    with answering(refuse) as port:
        report = run_plan(a_plan(port, b"a"))

    assert report.requests == 0
    assert report.errors > 0
    assert "status 500" in report.first_error
