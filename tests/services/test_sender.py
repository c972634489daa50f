"""Sending crops in groups: one step for many requests, and each learns what became of its own."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import pytest

from services.errors import HxserveError, QueueFullError, RedisUnavailableError
from services.store.chips import ChipStore, Lease
from services.store.connection import Connection
from services.store.crops import CropStore, Lane, Parcel
from services.store.listener import Reply
from services.store.sender import CropSender
from services.wakeups import WakeUp
from tests.services.samples import CHIP, PLENTY, some_crops

LONG_S = 30.0
"""Nobody waits so long unless the test fails."""

REPLY = "hx:replies:here"


class _GroupCounting(CropStore):
    """Notes how many requests came in each step."""

    groups: list[int]

    def accept_group(
        self, reply_to: str, parcels: Sequence[Parcel]
    ) -> tuple[list[str], list[str | HxserveError]]:
        """The same, noted."""
        self.groups.append(len(parcels))
        return super().accept_group(reply_to, parcels)


def _store(connection: Connection, max_waiting: int = PLENTY) -> _GroupCounting:
    store = _GroupCounting(connection, max_waiting=max_waiting, keep_results_s=3600)
    store.groups = []
    return store


def _parcel(number: int, count: int = 1) -> Parcel:
    return Parcel(f"request-{number}", Lane("digits", "1", "ada"), count, some_crops(count, number), None)


@contextmanager
def _sending(sender: CropSender) -> Iterator[None]:
    """Sends what waits, and has sent all when it ends."""
    sender.start()
    try:
        yield
    finally:
        sender.stop()
        sender._thread.join(LONG_S)


def _nobody(_: str) -> None:
    return


def test_requests_that_wait_together_are_sent_in_one_step(connection: Connection, lease: Lease) -> None:
    store = _store(connection)
    sender = CropSender(store, REPLY, _nobody)
    replies = [Reply(1) for _ in range(5)]
    for number, reply in enumerate(replies):
        sender.send(_parcel(number), reply)

    with _sending(sender):
        pass

    assert store.groups == [5]
    claimed = store.claim(lease, {"digits@1:ada": 9})
    assert [(e.id, e.entry, e.reply_to, e.crops) for e in claimed] == [
        (f"request-{n}", replies[n].entry, REPLY, some_crops(1, n)) for n in range(5)
    ]


def test_a_full_group_is_sent_by_the_request_that_completes_it(connection: Connection) -> None:
    store = _store(connection)
    sender = CropSender(store, REPLY, _nobody)

    for number in range(20):
        sender.send(_parcel(number), Reply(1))
    sent_at_once = list(store.groups)
    with _sending(sender):
        pass

    assert sent_at_once == [8, 8]
    assert store.groups == [8, 8, 4]


def test_only_the_requests_without_room_are_refused(connection: Connection) -> None:
    sender = CropSender(_store(connection, max_waiting=4), REPLY, _nobody)
    replies = [Reply(1) for _ in range(4)]
    for reply, (number, count) in zip(replies, enumerate([3, 2, 1, 1]), strict=True):
        sender.send(_parcel(number, count), reply)

    with _sending(sender):
        pass

    assert [bool(reply.entry) for reply in replies] == [True, False, True, False]
    for reply in (replies[1], replies[3]):
        with pytest.raises(QueueFullError, match="limit of 4 waiting crops"):
            reply.wait(0)
    assert ChipStore(connection, lease_s=60).waiting_crops() == 4


def test_while_redis_is_away_requests_are_refused_and_the_sender_lives_on(
    connection: Connection, lease: Lease
) -> None:
    away = Connection("unix:///nowhere/redis.sock", retries=0)
    store = _store(away)
    sender = CropSender(store, REPLY, _nobody)
    early, late = Reply(1), Reply(1)

    with _sending(sender):
        sender.send(_parcel(0), early)
        with pytest.raises(RedisUnavailableError):
            early.wait(LONG_S)
        store._connection = connection
        sender.send(_parcel(1), late)

    assert (early.entry, bool(late.entry)) == ("", True)
    assert [entry.id for entry in store.claim(lease, {"digits@1:ada": 9})] == ["request-1"]


def _woken_by(wake_up: WakeUp, connection: Connection) -> Reply:
    """The reply to a request sent with this way to wake chips."""
    reply = Reply(1)
    sender = CropSender(_store(connection), REPLY, wake_up)
    sender.send(_parcel(0), reply)
    with _sending(sender):
        pass
    return reply


@pytest.mark.usefixtures("lease")
def test_the_chips_that_sleep_are_woken(connection: Connection) -> None:
    woken: list[str] = []

    _woken_by(woken.append, connection)

    assert woken == [CHIP]


@pytest.mark.usefixtures("lease")
def test_a_wake_up_that_cannot_be_sent_does_not_refuse_what_was_accepted(connection: Connection) -> None:
    def fail(_: str) -> None:
        raise RedisUnavailableError

    reply = _woken_by(fail, connection)

    assert reply.entry
    assert reply.refusal is None
