"""The heartbeat thread: the lease is kept, work does not lie, and a process that lost its chip ends."""

import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import pytest

from services.chips.store import ChipStore, Lease
from services.crops.store import CropStore
from tests.services.samples import CHIP, a_holder, accept, some_crops
from worker.heartbeat import LEASE_LOST_EXIT, Heartbeat

LONG_S = 30.0
"""Longer than anything awaited here takes; nobody waits so long unless the test fails."""

ENDLESS_S = 1e9
OFTEN_S = 0.02

_WORKER = """
import sys, time
from services.chips.store import ChipStore
from services.store.connection import Connection
from worker.heartbeat import Heartbeat
url, give_up_after_s = sys.argv[1], float(sys.argv[2])
chips = ChipStore(Connection(url), lease_s=60)
lease = chips.take("chip-1", {"host": "child"})
heartbeat = Heartbeat(
    lease, chips, dict, lambda: None, lambda: 0.0, lambda: False, lease_s=0.04, give_up_after_s=give_up_after_s
)
heartbeat.start()
print("started", flush=True)
sys.stdin.read()
"""


def _never() -> bool:
    return False


class _Status:
    """How the chip is; counts how often somebody asked."""

    def __init__(self, enough: int) -> None:
        self._left = enough
        self.asked_enough = threading.Event()

    def __call__(self) -> Mapping[str, Any]:
        self._left -= 1
        if self._left <= 0:
            self.asked_enough.set()
        return {"ready": True, "left": self._left}


@contextmanager
def _beating(heartbeat: Heartbeat) -> Iterator[None]:
    heartbeat.start()
    try:
        yield
    finally:
        heartbeat.stop()


@contextmanager
def _child(redis_url: str, give_up_after_s: float = ENDLESS_S) -> Iterator[subprocess.Popen[str]]:
    """A process that holds the chip and has a heartbeat thread; it is ended if it has not ended itself."""
    arguments = [sys.executable, "-c", _WORKER, redis_url, str(give_up_after_s)]
    with subprocess.Popen(
        arguments, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as child:
        assert child.stdout is not None
        assert child.stdout.readline() == "started\n"
        try:
            yield child
        finally:
            child.kill()


def test_the_lease_is_renewed_with_how_the_chip_is(chips: ChipStore, lease: Lease) -> None:
    status = _Status(enough=4)
    heartbeat = Heartbeat(lease, chips, status, lambda: None, lambda: 0.0, _never, lease_s=OFTEN_S)

    with _beating(heartbeat):
        renewed = status.asked_enough.wait(LONG_S)

    assert renewed
    assert chips.record(CHIP).status["ready"]


def test_a_lease_that_ran_out_is_there_again(chips: ChipStore, lease: Lease) -> None:
    chips._connection.client.delete(f"hx:chip:{CHIP}:lease")
    heartbeat = Heartbeat(lease, chips, dict, lambda: None, lambda: 0.0, _never, lease_s=60)

    with _beating(heartbeat):
        assert chips.record(CHIP).holder == lease.holder


def test_a_wake_up_is_sent_when_work_waits_without_a_turn(
    chips: ChipStore, lease: Lease, crops: CropStore
) -> None:
    accept(crops, [some_crops(1)])
    woken = threading.Event()
    heartbeat = Heartbeat(
        lease, chips, dict, woken.set, lambda: 0.0, _never, lease_s=OFTEN_S, wake_after_s=0.0
    )

    with _beating(heartbeat):
        assert woken.wait(LONG_S)


def test_a_wake_up_is_sent_when_the_chip_needs_care_without_a_turn(chips: ChipStore, lease: Lease) -> None:
    woken = threading.Event()
    heartbeat = Heartbeat(
        lease, chips, dict, woken.set, lambda: 0.0, lambda: True, lease_s=OFTEN_S, wake_after_s=0.0
    )

    with _beating(heartbeat):
        assert woken.wait(LONG_S)


@pytest.mark.parametrize("work_waits", [True, False])
def test_no_wake_up_is_sent_while_turns_come_or_nothing_waits(
    chips: ChipStore, lease: Lease, crops: CropStore, work_waits: bool
) -> None:
    if work_waits:
        accept(crops, [some_crops(1)])
    woken = threading.Event()
    status = _Status(enough=6)

    def last_turn() -> float:
        return time.monotonic() + LONG_S if work_waits else 0.0

    heartbeat = Heartbeat(
        lease, chips, status, woken.set, last_turn, _never, lease_s=OFTEN_S, wake_after_s=0.0
    )

    with _beating(heartbeat):
        assert status.asked_enough.wait(LONG_S)

    assert not woken.is_set()


def test_the_process_ends_when_another_worker_has_the_lease(chips: ChipStore, redis_url: str) -> None:
    with _child(redis_url) as child:
        chips.take(CHIP, a_holder("second"), dead={"host": "child"})

        assert child.wait(LONG_S) == LEASE_LOST_EXIT


def test_the_process_ends_when_work_waits_and_no_turn_ever_comes(crops: CropStore, redis_url: str) -> None:
    with _child(redis_url, give_up_after_s=0.0) as child:
        accept(crops, [some_crops(1)])

        assert child.wait(LONG_S) == LEASE_LOST_EXIT


def test_the_process_lives_on_while_it_has_its_lease(chips: ChipStore, redis_url: str) -> None:
    with _child(redis_url) as child:
        before = chips.record(CHIP)
        chips._connection.client.delete(f"hx:chip:{CHIP}:lease")
        while chips.record(CHIP).holder is None:
            pass

        assert before.holder == chips.record(CHIP).holder
        assert child.poll() is None
