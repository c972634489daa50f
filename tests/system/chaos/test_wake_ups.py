"""Celery's messages are lost, doubled and reordered: they only say that there is work, so nothing depends on them."""

import json
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from random import Random
from typing import Any

import pytest

from hxserve import Client
from hxserve.jobs import Job
from services.chips.wakeups import queue_of
from tests.system.chaos.conftest import Extent, Summary, training_of
from tests.system.chaos.service import Service
from tests.system.chaos.stream import Crops, streaming
from tests.system.chaos.verification import assert_nothing_lost, weights_of

pytestmark = pytest.mark.long

QUEUE = queue_of("chip-1")
_MOST = 6
"""So many messages at most lie in the queue through what is done to it here."""


def _lose(client: Any, random: Random) -> bool:
    """Takes messages away before the worker sees them, most of them."""
    time.sleep(random.uniform(0.0, 0.3))
    return client.blpop([QUEUE], timeout=0.1) is not None


def _taken(client: Any) -> list[str]:
    """The messages that a worker has taken and not acknowledged: one hardly ever lies in the queue for long."""
    return [json.dumps(json.loads(taken)[0]) for taken in client.hvals("unacked")]


def _double(client: Any, random: Random) -> bool:
    """Lets each message that a worker has taken come several times more, while few lie there."""
    messages = _taken(client) if client.llen(QUEUE) < _MOST else []
    for message in messages:
        for _ in range(random.randint(1, 3)):
            client.lpush(QUEUE, message)
    return bool(messages)


def _reorder(client: Any, random: Random) -> bool:
    """Shuffles what lies there, with some old messages among it."""
    with client.pipeline() as pipeline:
        messages = pipeline.lrange(QUEUE, 0, -1).delete(QUEUE).execute()[0]
    kept = (messages + _taken(client))[:_MOST]
    random.shuffle(kept)
    if kept:
        client.rpush(QUEUE, *kept)
    return bool(kept)


@pytest.mark.parametrize("meddle", [_lose, _double, _reorder], ids=["lost", "doubled", "reordered"])
def test_wake_ups_meddled_with_during_a_training_and_a_stream_of_crops(
    service: Service,
    client: Client,
    undisturbed: Job,
    crops: Crops,
    extent: Extent,
    randomly: Random,
    summary: Summary,
    meddle: Callable[[Any, Random], bool],
) -> None:
    with _meddling(service, meddle, randomly) as meddled:
        with streaming(service, crops, randomly.randrange(1000), pause_s=0.3) as tally:
            job = client.train("wake", **training_of(extent))
            training = service.ended(job)
            service.until(lambda: len(meddled) > 0, "the first wake-up meddled with")
        service.let_pass(3.0)  # the turn ends, and the next piece of work needs a wake-up again
        summary.recoveries_s.append(service.until_answered(crops))

    summary.note(len(meddled), tally, jobs=assert_nothing_lost(service, tally))
    assert (training.state, training.record["attempts"]) == ("succeeded", 1)
    assert weights_of(training) == weights_of(undisturbed)


@contextmanager
def _meddling(
    service: Service, meddle: Callable[[Any, Random], bool], random: Random
) -> Iterator[list[bool]]:
    stopping = threading.Event()
    times: list[bool] = []

    def meddle_on() -> None:
        with service.connection() as connection:
            while not stopping.is_set():
                if meddle(connection.client, random):
                    times.append(True)
                stopping.wait(random.uniform(0.0, 0.02))

    thread = threading.Thread(target=meddle_on, daemon=True)
    thread.start()
    try:
        yield times
    finally:
        stopping.set()
        thread.join()
        with service.connection() as connection:
            connection.client.ltrim(QUEUE, 0, 5)
