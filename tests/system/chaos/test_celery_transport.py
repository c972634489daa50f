"""What Celery's Redis transport does when processes die; beside this is tested that none of it matters."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from deploy.redis_server import redis_server, wait_until_it_answers
from deploy.supervision import Supervised
from services.chips.wakeups import queue_of
from services.store.connection import Connection
from tests.system.chaos.consumer import CHIP, NOTHING
from worker.celery_app import create_app, send_wake_up

pytestmark = pytest.mark.long

PATIENCE_S = 60.0
ENDLESS_S = 3600
BRIEF_S = 1


class Broker:
    """A Redis, and consumers of one queue in it."""

    def __init__(self, url: str, process: Supervised, folder: Path) -> None:
        self.url = url
        self._process = process
        self._turns = folder / "turns"
        self._turns.touch()
        self._connection = Connection(url)
        self.client: Any = self._connection.client

    @contextmanager
    def consumer(self, visibility_s: float, fate: str = NOTHING) -> Iterator["subprocess.Popen[bytes]"]:
        """A consumer, killed at the end if it still lives."""
        command = [sys.executable, "-m", "tests.system.chaos.consumer", self.url, str(self._turns)]
        with subprocess.Popen([*command, str(visibility_s), fate], stderr=subprocess.DEVNULL) as process:
            try:
                yield process
            finally:
                process.kill()

    def send(self) -> None:
        """Sends a wake-up."""
        with create_app(self.url, CHIP, lambda: False) as app:
            send_wake_up(app)(CHIP)

    @property
    def turns(self) -> int:
        """Turns taken so far by all consumers."""
        return len(self._turns.read_text().splitlines())

    @property
    def messages(self) -> tuple[int, int]:
        """Messages in the queue, and those that somebody took and has not acknowledged."""
        return self.client.llen(queue_of(CHIP)), self.client.hlen("unacked")

    def free_lock(self) -> None:
        """Takes away what a consumer killed while it looked for withheld messages leaves behind for 300 s."""
        self.client.delete("unacked_mutex")

    def kill_and_restart(self) -> None:
        """Kills Redis on the spot, and lets it come back with its file."""
        os.kill(self._process.pid, signal.SIGKILL)
        until(self._process.revive)
        wait_until_it_answers(self._process, self.url)

    def close(self) -> None:
        """Lets go of the connections."""
        self._connection.close()


@pytest.fixture
def broker(short_folder: Path) -> Iterator[Broker]:
    with redis_server(short_folder, short_folder / "redis.log") as (url, process):
        broker = Broker(url, process, short_folder)
        yield broker
        broker.close()


def until(condition: Callable[[], bool]) -> None:
    """Returns when the condition holds; fails when it never does."""
    end = time.monotonic() + PATIENCE_S
    while not condition():
        assert time.monotonic() < end, "waited in vain"
        time.sleep(0.02)


def test_a_message_whose_consumer_dies_is_withheld_from_the_next_one_until_its_time_is_over(
    broker: Broker,
) -> None:
    broker.send()
    with broker.consumer(ENDLESS_S, "dies") as dying:
        until(lambda: dying.poll() is not None)
    after_death = broker.messages

    with broker.consumer(ENDLESS_S):
        broker.send()
        until(lambda: broker.turns == 2)
        until(lambda: broker.messages == (0, 1))
        withheld = broker.messages
    broker.free_lock()
    with broker.consumer(BRIEF_S):
        until(lambda: broker.turns == 3)
        until(lambda: broker.messages == (0, 0))

    assert after_death == withheld == (0, 1)


def test_a_message_that_is_taken_and_not_yet_noted_is_lost_with_its_consumer(broker: Broker) -> None:
    broker.send()

    with broker.consumer(BRIEF_S, "vanishes") as vanishing:
        until(lambda: vanishing.poll() is not None)

    assert (vanishing.returncode, broker.turns, broker.messages) == (-signal.SIGKILL, 0, (0, 0))


def test_a_consumer_goes_on_by_itself_when_redis_was_killed_and_comes_back(broker: Broker) -> None:
    with broker.consumer(ENDLESS_S) as consumer:
        broker.send()
        until(lambda: broker.turns == 1)
        broker.kill_and_restart()

        broker.send()
        until(lambda: broker.turns == 2)

        assert consumer.poll() is None


def test_a_message_in_the_queue_of_a_killed_redis_is_there_again(broker: Broker) -> None:
    broker.send()
    broker.kill_and_restart()

    with broker.consumer(ENDLESS_S):
        until(lambda: broker.turns == 1)
