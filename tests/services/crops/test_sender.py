"""Sending crops in groups: one step for many requests, and each learns what became of its own."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace

import pytest

from services.chips.store import ChipStore, Lease
from services.chips.wakeups import WakeUp
from services.crops.answers import Answer
from services.crops.listener import Listener, Reply
from services.crops.parcels import Lane, Parcel
from services.crops.sender import CropSender
from services.crops.store import CropStore
from services.errors import HxserveError, QueueFullError, RedisUnavailableError
from services.jobs.record import JobKind
from services.jobs.store import JobStore
from services.store.connection import Connection
from tests.services.samples import CHIP, PLENTY, a_job, finish, scores_of, some_crops

LONG_S = 30.0
"""Nobody waits so long unless the test fails."""

ADA = Lane("digits", "1", "ada")


class _StepCounting(CropStore):
    """Notes the crops of each parcel of each step."""

    steps: list[list[int]]

    def accept_group(
        self, reply_to: str, parcels: Sequence[Parcel]
    ) -> tuple[list[str], list[str | HxserveError]]:
        """The same, noted."""
        self.steps.append([parcel.count for parcel in parcels])
        return super().accept_group(reply_to, parcels)


def _store(connection: Connection, max_waiting: int = PLENTY) -> _StepCounting:
    store = _StepCounting(connection, max_waiting=max_waiting, keep_results_s=3600)
    store.steps = []
    return store


def _parcel(number: int, count: int = 1) -> Parcel:
    return Parcel(f"request-{number}", ADA, count, some_crops(count, number), None)


@contextmanager
def _sending(sender: CropSender) -> Iterator[None]:
    """Sends what waits, and has sent all when it ends."""
    sender.start()
    try:
        yield
    finally:
        sender.stop()
        sender._thread.join(LONG_S)


@pytest.fixture
def listener(connection: Connection) -> Iterator[Listener]:
    listener = Listener(connection)
    listener.start()
    try:
        yield listener
    finally:
        listener.close()


def _nobody(_: str) -> None:
    return


def test_requests_of_a_lane_that_wait_together_travel_as_one_and_each_hears_its_own_answer(
    connection: Connection, lease: Lease, listener: Listener
) -> None:
    store = _store(connection)
    sender = CropSender(store, listener, _nobody)
    counts, replies = [2, 1, 4, 3], [Reply(1) for _ in range(4)]
    for number, (count, reply) in enumerate(zip(counts, replies, strict=True)):
        sender.send(_parcel(number, count), reply)

    with _sending(sender):
        pass
    claimed = store.claim(lease, {str(ADA): 99})
    finish(store, lease, claimed)
    answers = [reply.wait(LONG_S) for reply in replies]

    assert store.steps == [[10]]
    assert [(e.reply_to, e.count) for e in claimed] == [(listener.reply_to, 10)]
    for number, count in enumerate(counts):
        heard = answers[number]
        assert heard
        [answer] = heard
        assert answer.scores == scores_of(some_crops(count, number)).tobytes()
        assert (answer.count, answer.slot) == (count, sum(counts[:number]))


def test_requests_travel_apart_that_differ_in_more_than_their_crops(
    connection: Connection, listener: Listener
) -> None:
    store = _store(connection)
    sender = CropSender(store, listener, _nobody)
    plain = _parcel(0)
    others = [
        replace(plain, id="elsewhere", lane=Lane("digits", "1", "grace")),
        replace(plain, id="twice", repeats=2),
        replace(plain, id="soon", deadline_at=2e9),
        replace(plain, id="soon as well", deadline_at=2e9),
    ]
    for parcel in (plain, *others, _parcel(9)):
        sender.send(parcel, Reply(1))

    with _sending(sender):
        pass

    assert store.steps == [[2, 1, 1, 1, 1]]


def test_no_parcel_has_more_crops_than_an_entry_may_have(connection: Connection, listener: Listener) -> None:
    store = _store(connection)
    sender = CropSender(store, listener, _nobody)
    for number, count in enumerate([40, 30, 34, 64, 1]):
        sender.send(_parcel(number, count), Reply(1))

    with _sending(sender):
        pass

    assert store.steps == [[40, 64, 64, 1]]


def test_only_the_requests_without_room_are_refused(connection: Connection, listener: Listener) -> None:
    store = _store(connection, max_waiting=4)
    sender = CropSender(store, listener, _nobody)
    replies = [Reply(1) for _ in range(4)]
    for reply, (number, count) in zip(replies, enumerate([3, 2, 1, 1]), strict=True):
        sender.send(_parcel(number, count), reply)

    with _sending(sender):
        pass

    assert [bool(reply.place) for reply in replies] == [True, False, True, False]
    for reply in (replies[1], replies[3]):
        with pytest.raises(QueueFullError, match="limit of 4 waiting crops"):
            reply.wait(0)
    assert ChipStore(connection, lease_s=60).waiting_crops() == 4
    assert store.steps == [[7], [3, 2, 1, 1]]


def test_of_requests_that_travelled_together_one_may_be_recorded_late(
    connection: Connection, lease: Lease, listener: Listener
) -> None:
    store = _store(connection)
    sender = CropSender(store, listener, _nobody)
    replies = [Reply(1) for _ in range(3)]
    for number, reply in enumerate(replies):
        sender.send(_parcel(number, number + 1), reply)
    with _sending(sender):
        pass
    place, job = replies[1].place, a_job(JobKind.CLASSIFICATION)
    assert place is not None

    promoted = store.promote(ADA, place.entry, job, place.span)
    finish(store, lease, store.claim(lease, {str(ADA): 99}))

    assert promoted
    [stored] = JobStore(connection, keep_jobs_s=60).results(job.id).values()
    assert Answer.unpack(stored).scores == scores_of(some_crops(2, 1)).tobytes()


def test_while_redis_is_away_requests_are_refused_and_the_sender_lives_on(
    connection: Connection, lease: Lease, listener: Listener
) -> None:
    away = Connection("unix:///nowhere/redis.sock", retries=0)
    store = _store(away)
    sender = CropSender(store, listener, _nobody)
    early, late = Reply(1), Reply(1)

    with _sending(sender):
        sender.send(_parcel(0), early)
        with pytest.raises(RedisUnavailableError):
            early.wait(LONG_S)
        store._connection = connection
        sender.send(_parcel(1), late)

    assert (early.place, bool(late.place)) == (None, True)
    assert [entry.id for entry in store.claim(lease, {"digits@1:ada": 9})] == ["request-1"]


def _woken_by(wake_up: WakeUp, connection: Connection, listener: Listener) -> Reply:
    """The reply to a request sent with this way to wake chips."""
    reply = Reply(1)
    sender = CropSender(_store(connection), listener, wake_up)
    sender.send(_parcel(0), reply)
    with _sending(sender):
        pass
    return reply


@pytest.mark.usefixtures("lease")
def test_the_chips_that_sleep_are_woken(connection: Connection, listener: Listener) -> None:
    woken: list[str] = []

    _woken_by(woken.append, connection, listener)

    assert woken == [CHIP]


@pytest.mark.usefixtures("lease")
def test_a_wake_up_that_cannot_be_sent_does_not_refuse_what_was_accepted(
    connection: Connection, listener: Listener
) -> None:
    def fail(_: str) -> None:
        raise RedisUnavailableError

    reply = _woken_by(fail, connection, listener)

    assert reply.place
    assert reply.refusal is None
