"""Processes are killed during calls of gRPC: each is answered rightly, or its client may try again."""

import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from random import Random
from typing import Any, Final

import grpc
import numpy as np
import pytest

from api.grpc.messages import ModelInferRequest
from tests.api.grpc import Stub
from tests.system.chaos.conftest import Extent, Summary
from tests.system.chaos.service import Service
from tests.system.chaos.stream import Crops
from tests.system.chaos.verification import assert_nothing_lost

pytestmark = pytest.mark.long

MAY_BE_TRIED_AGAIN: Final = {
    grpc.StatusCode.UNAVAILABLE,
    grpc.StatusCode.RESOURCE_EXHAUSTED,
    grpc.StatusCode.DEADLINE_EXCEEDED,
}
_CLIENTS: Final = 3
_MOST_CROPS: Final = 70
_STREAM: Final = 20
_DEADLINE_S: Final = 20.0
_CHANNEL: Final = (("grpc.initial_reconnect_backoff_ms", 100), ("grpc.max_reconnect_backoff_ms", 500))


@dataclass
class Counts:
    """What became of requests."""

    answered: int = 0
    refused: int = 0
    wrong: list[str] = field(default_factory=list)
    lock: threading.Lock = field(default_factory=threading.Lock)

    def note(self, answered: int, refused: int, wrong: Sequence[str]) -> None:
        """Counts requests."""
        with self.lock:
            self.answered += answered
            self.refused += refused
            self.wrong += wrong


class Caller:
    """A client that calls, or sends a stream, as chance will have it."""

    def __init__(self, service: Service, crops: Crops, counts: Counts, seed: int) -> None:
        self._channel = grpc.insecure_channel(str(service.local.grpc), options=_CHANNEL)
        self._stub = Stub(self._channel)
        self._metadata = (("authorization", f"Bearer {service.local.token}"),)
        self._crops, self._counts, self._random = crops, counts, Random(seed)
        self.stopping = threading.Event()

    def run(self) -> None:
        """Sends, one call or stream after the other."""
        with self._channel:
            while not self.stopping.wait(0.02):
                if self._random.random() < 0.2:
                    self._stream()
                else:
                    self._call()

    def _request(self) -> tuple[Any, list[int]]:
        crops, random = self._crops, self._random
        chosen = [random.randrange(len(crops.images)) for _ in range(random.choice((1, 3, _MOST_CROPS)))]
        request = ModelInferRequest(model_name=crops.model, model_version=crops.version)
        request.inputs.add(name="crops", datatype="UINT8", shape=[len(chosen), 28, 28])
        request.raw_input_contents.append(crops.images[chosen].tobytes())
        request.outputs.add(name="scores")
        return request, chosen

    def _is_right(self, answer: Any, chosen: Sequence[int]) -> bool:
        scores = np.frombuffer(answer.raw_output_contents[0], np.int8).reshape(-1, 10)
        return scores.tolist() == [list(self._crops.scores[i]) for i in chosen]

    def _call(self) -> None:
        request, chosen = self._request()
        try:
            answer = self._stub.start(
                "ModelInfer", request, metadata=self._metadata, timeout=_DEADLINE_S
            ).result()
        except grpc.RpcError as error:
            self._note_broken(error, 1)
        else:
            is_right = self._is_right(answer, chosen)
            self._counts.note(1, 0, [] if is_right else [f"wrong scores of {len(chosen)} crops"])

    def _stream(self) -> None:
        asked = [self._request() for _ in range(_STREAM)]
        left = list(asked)
        try:
            for answer in self._stub.stream(iter([request for request, _ in asked]), self._metadata):
                _, chosen = left.pop(0)
                may_repeat = answer.infer_response.parameters["retryable"].bool_param
                if answer.error_message:
                    self._counts.note(0, 1, [] if may_repeat else [answer.error_message])
                else:
                    is_right = self._is_right(answer.infer_response, chosen)
                    self._counts.note(1, 0, [] if is_right else ["wrong scores in a stream"])
        except grpc.RpcError as error:
            self._note_broken(error, len(left))

    def _note_broken(self, error: Any, requests: int) -> None:
        is_final = error.code() not in MAY_BE_TRIED_AGAIN
        self._counts.note(0, requests, [f"{error.code()}: {error.details()}"] if is_final else [])


@contextmanager
def calling(service: Service, crops: Crops, seed: int) -> Iterator[Counts]:
    """Clients that call for the length of the context."""
    counts = Counts()
    callers = [Caller(service, crops, counts, seed + number) for number in range(_CLIENTS)]
    threads = [threading.Thread(target=caller.run, name="caller", daemon=True) for caller in callers]
    for thread in threads:
        thread.start()
    try:
        yield counts
    finally:
        for caller in callers:
            caller.stopping.set()
        service.until(lambda: not any(thread.is_alive() for thread in threads), "the last call's end")


def test_calls_over_grpc_are_answered_rightly_or_may_be_tried_again_whatever_is_killed(
    service: Service, crops: Crops, extent: Extent, randomly: Random, summary: Summary
) -> None:
    with calling(service, crops, randomly.randrange(1000)) as counts:

        def is_answered_after(before: int) -> bool:
            return counts.answered > before

        for _ in range(extent.kills):
            for name in ("grpc", "worker", "redis"):
                service.let_pass(randomly.uniform(0.2, 1.5))
                service.kill(name)
                before = counts.answered
                wait = service.until(partial(is_answered_after, before), "an answer over gRPC")
                summary.recoveries_s.append(wait)
        service.let_pass(extent.crops_s)

    summary.disturbed, summary.crops = 3 * extent.kills, counts.answered
    assert counts.wrong == []
    assert counts.answered > 0
    summary.jobs = assert_nothing_lost(service)
