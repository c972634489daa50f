"""Streams of crops with known answers: several senders, every way of sending, and a count of what came back."""

import threading
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from random import Random
from typing import Final

import numpy as np
from numpy.typing import NDArray

from hxserve import Client
from hxserve.errors import ClientError
from hxserve.predictions import Predictions
from tests.system.chaos.service import Service

Scores = tuple[int, ...]
_SENDERS: Final = 3
_CLEARANCE_S: Final = 120.0


@dataclass(frozen=True, slots=True)
class Crops:
    """Crops (n, 28, 28) of `model`, and the scores that its chip gives each when nothing is disturbed."""

    model: str
    version: str
    images: NDArray[np.uint8]
    scores: Sequence[Scores]


@dataclass
class Tally:
    """What became of what was sent."""

    sent: int = 0
    """Crops."""
    answered: int = 0
    wrong: list[str] = field(default_factory=list)
    """Answers that are not what they should be, in words."""
    ways: Counter[str] = field(default_factory=Counter)
    """Requests by how they were sent."""
    lock: threading.Lock = field(default_factory=threading.Lock)

    def note_sent(self, way: str, crops: int) -> None:
        """Counts a request."""
        with self.lock:
            self.sent += crops
            self.ways[way] += 1

    def note_answer(self, way: str, expected: Sequence[Scores], answer: Predictions) -> None:
        """Counts an answer, and compares it with what it should be."""
        got = [prediction.scores for prediction in answer]
        with self.lock:
            self.answered += len(got)
            if got != list(expected):
                unlike = sum(a != b for a, b in zip(got, expected, strict=False))
                self.wrong.append(f"{way}: {len(got)} of {len(expected)} answers, {unlike} of them wrong")

    def note_failure(self, way: str, error: ClientError) -> None:
        """Counts a request that was never answered."""
        with self.lock:
            self.wrong.append(f"{way}: {error!r}")


class Sender(threading.Thread):
    """Sends crops one request after the other, until it is told to stop."""

    def __init__(self, client: Client, crops: Crops, tally: Tally, seed: int, *, pause_s: float) -> None:
        super().__init__(name=f"sender {seed}", daemon=True)
        self._client = client
        self._crops = crops
        self._tally = tally
        self._random = Random(seed)
        self._pause_s = pause_s
        self.stopping = threading.Event()

    def run(self) -> None:
        """Sends, each request in a way chosen by lot."""
        while not self.stopping.is_set():
            way = self._random.choice(("one", "few", "keyed", "large", "job"))
            try:
                self._send(way)
            except ClientError as error:
                self._tally.note_failure(way, error)
            self.stopping.wait(self._pause_s)

    def _send(self, way: str) -> None:
        crops, random = self._crops, self._random
        count = {"one": 1, "few": random.randint(2, 20), "keyed": random.randint(1, 70)}.get(way, 150)
        chosen = [random.randrange(len(crops.images)) for _ in range(count)]
        self._tally.note_sent(way, count)
        answer = self._client.classify(
            crops.images[chosen],
            crops.model,
            crops.version,
            wait_s=0.0 if way == "job" else 10.0,
            idempotent=way in {"keyed", "large"},
            timeout_s=_CLEARANCE_S,
        )
        self._tally.note_answer(way, [crops.scores[i] for i in chosen], answer)


@contextmanager
def streaming(service: Service, crops: Crops, seed: int, *, pause_s: float = 0.05) -> Iterator[Tally]:
    """A stream of crops for the length of the context; at its end everything sent has been answered or has failed."""
    tally = Tally()
    with service.client() as client:
        senders = [Sender(client, crops, tally, 1000 * seed + i, pause_s=pause_s) for i in range(_SENDERS)]
        for sender in senders:
            sender.start()
        try:
            yield tally
        finally:
            for sender in senders:
                sender.stopping.set()
            service.until(lambda: not any(sender.is_alive() for sender in senders), "the last answer")
