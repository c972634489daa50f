"""The batcher: one step for many requests, and each learns its own outcome."""

import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import pytest

from services.chips.store import ChipStore, Lease
from services.chips.wakeups import WakeUp
from services.crops import batcher as batcher_module
from services.crops.answers import Answer, problem_of
from services.crops.batcher import Batcher
from services.crops.extras import Extras
from services.crops.lanes import PART_CROPS, Lane, Span
from services.crops.listener import Listener
from services.crops.requests import Answered, CropRequest, JobReference, PendingAnswer
from services.crops.statistics import Statistics
from services.crops.store import Acceptance, CropStore
from services.errors import (
    HxserveError,
    IdempotencyConflictError,
    JobCancelledError,
    QueueFullError,
    QuotaExceededError,
    RedisUnavailableError,
)
from services.jobs.acceptance import Idempotency
from services.jobs.record import Job, JobKind, JobState
from services.jobs.store import JobStore
from services.store.connection import Connection
from services.users.authentication import User
from services.users.quotas import UNLIMITED, Quotas
from tests.services.samples import ADA, CHIP, PLENTY, a_job, finish, scores_of, some_crops

LONG_S = 30.0
"""Nobody waits so long unless the test fails."""

GRACE = Lane("digits", "1", "grace")


class _StepCounting(CropStore):
    """A store that notes the crops of each acceptance of each step."""

    steps: list[list[int]]

    def accept(
        self, reply_to: str, requests: Sequence[Acceptance]
    ) -> tuple[list[str], list[str | JobReference | HxserveError]]:
        """Note the step, and take it."""
        self.steps.append([sum(count for count, _ in request.parts) for request in requests])
        return super().accept(reply_to, requests)


def _store(connection: Connection, max_waiting: int = PLENTY) -> _StepCounting:
    store = _StepCounting(connection, max_waiting=max_waiting, keep_results_s=3600)
    store.steps = []
    return store


def _pending(
    number: int,
    count: int = 1,
    *,
    lane: Lane = ADA,
    quotas: Quotas = UNLIMITED,
    wait_s: float = LONG_S,
    job: Job | None = None,
    **changes: Any,
) -> PendingAnswer:
    """A request of `count` crops, told apart from others by its number."""
    user = User(lane.user, quotas=quotas)
    request = CropRequest(user, lane.model, lane.version, some_crops(count, number), wait_s=wait_s, **changes)
    return PendingAnswer(request, lane, job, None)


def _recorded(number: int, count: int = 1, **changes: Any) -> PendingAnswer:
    """A request that is a job from the start."""
    return _pending(number, count, job=a_job(JobKind.CLASSIFICATION), **changes)


def _answered(pending: PendingAnswer) -> list[Answer]:
    outcome = pending.wait(LONG_S)
    assert isinstance(outcome, Answered)
    return outcome.answers


def _accepted(pending: PendingAnswer) -> None:
    """Wait until a request is in Redis."""
    until = time.monotonic() + LONG_S
    while pending.entry is None:
        assert time.monotonic() < until, "the request was not sent"
        time.sleep(0.001)


@contextmanager
def _sending(batcher: Batcher) -> Iterator[None]:
    """Send what waits; all is sent when the context ends."""
    batcher.start()
    try:
        yield
    finally:
        batcher.stop()
        batcher._thread.join(LONG_S)


def _nobody(_: str) -> None:
    return


def _send(
    store: CropStore, listener: Listener, requests: Sequence[PendingAnswer], wake_up: WakeUp = _nobody
) -> None:
    """Send requests that wait together."""
    batcher = Batcher(store, listener, wake_up, Statistics())
    for pending in requests:
        batcher.submit(pending)
    with _sending(batcher):
        pass


@pytest.fixture
def listener(connection: Connection) -> Iterator[Listener]:
    listener = Listener(connection)
    listener.start()
    try:
        yield listener
    finally:
        listener.close()


def test_requests_of_a_lane_that_wait_together_share_an_entry_and_each_hears_its_own_answer(
    connection: Connection, lease: Lease, listener: Listener
) -> None:
    store, counts = _store(connection), [2, 1, 4, 3]
    requests = [_pending(number, count) for number, count in enumerate(counts)]

    _send(store, listener, requests)
    claimed = store.claim(lease, {str(ADA): 99}).claimed
    finish(store, lease, claimed)

    assert store.steps == [[10]]
    assert [(entry.reply_to, entry.count) for entry in claimed] == [(listener.reply_to, 10)]
    for number, count in enumerate(counts):
        [answer] = _answered(requests[number])
        assert answer.scores == scores_of(some_crops(count, number)).tobytes()
        assert (answer.count, answer.slot) == (count, sum(counts[:number]))


def test_requests_that_differ_in_more_than_their_crops_share_no_entry(
    connection: Connection, listener: Listener
) -> None:
    store = _store(connection)
    others = [
        _pending(1, lane=GRACE),
        _pending(2, repeats=2),
        _pending(3, deadline_s=60.0),
        _pending(4, deadline_s=60.0),
        _pending(5, quotas=Quotas(max_waiting_crops=9)),
        _recorded(6),
        _recorded(7),
        _pending(8, extras=Extras.ACTIVATIONS),
    ]

    _send(store, listener, [_pending(0), *others, _pending(9, wait_s=1.0)])

    assert store.steps == [[2, 1, 1, 1, 1, 1, 1, 1, 1]]


def test_no_shared_entry_has_more_crops_than_an_entry_may_have(
    connection: Connection, listener: Listener
) -> None:
    store = _store(connection)

    _send(store, listener, [_pending(n, count) for n, count in enumerate([40, 30, 34, 64, 1])])

    assert store.steps == [[40, 64, 64, 1]]


def test_no_step_has_more_requests_or_crops_than_redis_is_held_up_for(
    connection: Connection, listener: Listener
) -> None:
    store = _store(connection)
    large = [_recorded(n, count) for n, count in enumerate([4000, 96, 1, 5000])]

    _send(store, listener, [*large, *(_pending(n, lane=Lane("digits", "1", f"u{n}")) for n in range(65))])

    assert store.steps == [[4000, 96], [1], [5000], [1] * 64, [1]]


def test_few_requests_wait_for_the_answers_to_many_and_go_with_those_that_come_next(
    connection: Connection, lease: Lease, listener: Listener, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(batcher_module, "_HOLD_S", LONG_S)
    monkeypatch.setattr(batcher_module, "_RETURN_S", LONG_S)
    store = _store(connection)
    batcher = Batcher(store, listener, _nobody, Statistics())
    many = [_pending(number) for number in range(8)]
    for pending in many:
        batcher.submit(pending)

    with _sending(batcher):
        _accepted(many[-1])
        few = [_pending(number) for number in range(8, 11)]
        for pending in few:
            batcher.submit(pending)
        time.sleep(0.05)
        assert store.steps == [[8]]

        finish(store, lease, store.claim(lease, {str(ADA): 99}).claimed)
        _answered(many[-1])
        time.sleep(0.05)
        assert store.steps == [[8]], "clients that have been answered are given time to come back"
        batcher.submit(_pending(11))
        _accepted(few[-1])

    assert store.steps == [[8], [4]]


def test_as_many_requests_as_are_on_their_way_are_sent_at_once(
    connection: Connection, listener: Listener, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(batcher_module, "_HOLD_S", LONG_S)
    store = _store(connection)
    batcher = Batcher(store, listener, _nobody, Statistics())

    with _sending(batcher):
        for number in range(2):
            pending = _pending(number)
            batcher.submit(pending)
            _accepted(pending)

    assert store.steps == [[1], [1]]


def test_few_requests_are_sent_soon_though_many_are_not_answered(
    connection: Connection, listener: Listener
) -> None:
    store = _store(connection)
    batcher = Batcher(store, listener, _nobody, Statistics())
    for number in range(8):
        batcher.submit(_pending(number))

    with _sending(batcher):
        one = _pending(8)
        batcher.submit(one)
        _accepted(one)


def test_only_the_requests_without_room_are_refused(connection: Connection, listener: Listener) -> None:
    store = _store(connection, max_waiting=4)
    requests = [_pending(number, count) for number, count in enumerate([3, 2, 1, 1])]

    _send(store, listener, requests)

    assert [bool(pending.entry) for pending in requests] == [True, False, True, False]
    for refused in (requests[1], requests[3]):
        with pytest.raises(QueueFullError, match="limit of 4 waiting crops"):
            refused.wait()
    assert ChipStore(connection, lease_s=60).waiting_crops() == 4
    assert store.steps == [[7], [3, 2, 1, 1]]


def test_of_requests_beyond_their_users_quota_only_those_are_refused(
    connection: Connection, listener: Listener
) -> None:
    requests = [_pending(n, 2, quotas=Quotas(max_waiting_crops=5)) for n in range(4)]

    _send(_store(connection), listener, requests)

    assert [bool(pending.entry) for pending in requests] == [True, True, False, False]
    with pytest.raises(QuotaExceededError) as refusal:
        requests[2].wait()
    assert refusal.value.facts == {"quota": "max_waiting_crops", "limit": 5, "used": 4}


def test_of_requests_that_share_an_entry_one_may_be_recorded_late(
    connection: Connection, lease: Lease, listener: Listener
) -> None:
    store = _store(connection)
    requests = [_pending(number, number + 1) for number in range(3)]
    _send(store, listener, requests)
    late, job = requests[1], a_job(JobKind.CLASSIFICATION)

    assert late.entry
    promoted = store.promote(ADA, late.entry, job, late.span)
    finish(store, lease, store.claim(lease, {str(ADA): 99}).claimed)

    assert (promoted, late.span) == (True, Span(1, 2))
    [stored] = JobStore(connection, keep_jobs_s=60).results(job.id).values()
    assert Answer.unpack(stored).scores == scores_of(some_crops(2, 1)).tobytes()


def test_a_request_that_nobody_waits_for_is_a_job_as_soon_as_it_is_accepted(
    connection: Connection, jobs: JobStore, lease: Lease, listener: Listener
) -> None:
    store, pending = _store(connection), _recorded(0, wait_s=0.0)

    _send(store, listener, [pending])
    [entry] = store.claim(lease, {str(ADA): 9}).claimed
    finish(store, lease, [entry])

    assert pending.job
    assert pending.wait() == JobReference(pending.job.id)
    assert entry.reply_to == ""
    assert jobs.get(pending.job.id).state is JobState.SUCCEEDED


def test_a_request_of_several_parts_hears_them_in_their_order(
    connection: Connection, lease: Lease, listener: Listener
) -> None:
    store, pending = _store(connection), _recorded(0, 2 * PART_CROPS + 3)

    _send(store, listener, [pending])
    for entry in reversed(store.claim(lease, {str(ADA): PLENTY}).claimed):
        finish(store, lease, [entry])

    answers = _answered(pending)
    assert [answer.count for answer in answers] == [PART_CROPS, PART_CROPS, 3]
    assert b"".join(answer.scores for answer in answers) == scores_of(pending.request.crops).tobytes()


def test_a_repeated_key_gives_the_job_before_and_another_request_with_it_is_refused(
    connection: Connection, listener: Listener
) -> None:
    key = Idempotency("ada:k", "digest")
    first, again = (_recorded(0, idempotency=key) for _ in range(2))
    other = _recorded(1, idempotency=Idempotency("ada:k", "other"))

    _send(_store(connection), listener, [first, again, other])

    assert first.entry
    assert first.job
    assert again.wait() == JobReference(first.job.id, is_repeated=True)
    with pytest.raises(IdempotencyConflictError):
        other.wait()


def test_a_part_that_cannot_be_run_is_the_answer_at_once_and_nothing_after_it() -> None:
    told: list[PendingAnswer] = []
    large = _recorded(0, 9 * PART_CROPS)
    pending = PendingAnswer(large.request, large.lane, large.job, told.append)

    is_last = [
        pending.put(4, Answer(problem=problem_of(JobCancelledError()))),
        pending.put(0, Answer(digits=b"\x07")),
    ]
    pending.end_with(RedisUnavailableError())

    assert is_last == [True, True]
    assert told == [pending]
    with pytest.raises(JobCancelledError):
        pending.wait()


def test_while_redis_is_away_requests_are_refused_and_the_batcher_lives_on(
    connection: Connection, lease: Lease, listener: Listener
) -> None:
    store = _store(Connection("unix:///nowhere/redis.sock", retries=0))
    batcher = Batcher(store, listener, _nobody, Statistics())
    together, late = [_pending(0), _pending(1), _pending(2, lane=GRACE)], _pending(3)
    for pending in together:
        batcher.submit(pending)

    with _sending(batcher):
        for pending in together:
            with pytest.raises(RedisUnavailableError):
                pending.wait(LONG_S)
        store._connection = connection
        batcher.submit(late)

    assert [bool(pending.entry) for pending in (*together, late)] == [False, False, False, True]
    [entry] = store.claim(lease, {str(ADA): 9}).claimed
    assert entry.crops == some_crops(1, 3)


@pytest.mark.usefixtures("lease")
def test_the_chips_that_sleep_are_woken(connection: Connection, listener: Listener) -> None:
    woken: list[str] = []

    _send(_store(connection), listener, [_pending(0)], woken.append)

    assert woken == [CHIP]


@pytest.mark.usefixtures("lease")
def test_a_wake_up_that_cannot_be_sent_does_not_refuse_what_was_accepted(
    connection: Connection, listener: Listener
) -> None:
    def fail(_: str) -> None:
        raise RedisUnavailableError

    pending = _pending(0)

    _send(_store(connection), listener, [pending], fail)

    assert pending.entry
    assert pending.wait() is None
