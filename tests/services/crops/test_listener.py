"""What a process hears: answers to its own requests and changes of jobs, also over a restart of Redis."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from queue import Queue

import msgpack
import pytest

from deploy.redis_server import redis_server
from services.chips.store import ChipStore, Lease
from services.crops.answers import Answer, problem_of
from services.crops.listener import Listener
from services.crops.store import CropStore
from services.errors import ExpiredError, JobCancelledError
from services.jobs.acceptance import Idempotency
from services.jobs.record import JobKind
from services.jobs.store import JobStore
from services.store.connection import Connection
from tests.services.samples import CHIP, PLENTY, a_holder, a_job, accept, finish, scores_of, some_crops

LONG_S = 30.0
"""Longer than anything heard here takes; nobody waits so long unless the test fails."""


@contextmanager
def _listening(connection: Connection) -> Iterator[Listener]:
    listener = Listener(connection)
    listener.start()
    try:
        yield listener
    finally:
        listener.close()


class Answers:
    """A receiver of the answers to some parts, and of nothing after the last of them."""

    def __init__(self, parts: int = 1) -> None:
        self._left = parts
        self._heard: Queue[tuple[int, Answer]] = Queue()

    def put(self, part: int, answer: bytes) -> bool:
        """Keep an answer; return whether it is the last."""
        self._heard.put((part, Answer.unpack(answer)))
        self._left -= 1
        return self._left == 0

    def next(self, timeout_s: float = LONG_S) -> tuple[int, Answer]:
        """Return part and answer of the next that is heard."""
        return self._heard.get(timeout=timeout_s)

    def is_silent(self) -> bool:
        """Return whether nothing more was heard."""
        return self._heard.empty()


def _expect(listener: Listener, request_id: str, parts: int = 1) -> Answers:
    answers = Answers(parts)
    listener.expect(request_id, answers)
    return answers


@pytest.fixture
def listener(connection: Connection) -> Iterator[Listener]:
    with _listening(connection) as listener:
        yield listener


def test_a_request_hears_the_answer_to_each_of_its_parts(
    listener: Listener, crops: CropStore, lease: Lease
) -> None:
    job, parts = a_job(), [some_crops(1, n) for n in range(3)]
    answers = _expect(listener, job.id, parts=3)
    accept(crops, parts, job=job, reply_to=listener.reply_to)
    entries = crops.claim(lease, {"digits@1:ada": 3}).claimed

    finish(crops, lease, [entries[2], entries[0]])
    finish(crops, lease, [entries[1]])

    heard = dict(answers.next() for _ in parts)
    assert [heard[n].scores for n in range(3)] == [scores_of(part).tobytes() for part in parts]


def test_a_request_does_not_hear_the_answers_of_another(
    listener: Listener, crops: CropStore, lease: Lease
) -> None:
    mine, other = a_job(), a_job()
    answers, theirs = _expect(listener, mine.id), _expect(listener, other.id)
    accept(crops, [some_crops(1)], job=other, reply_to=listener.reply_to)

    finish(crops, lease, crops.claim(lease, {"digits@1:ada": 1}).claimed)

    assert theirs.next()
    assert answers.is_silent()


def test_an_answer_that_nothing_expects_any_more_does_no_harm(
    listener: Listener, crops: CropStore, lease: Lease
) -> None:
    left, job = a_job(), a_job()
    unheard = _expect(listener, left.id)
    accept(crops, [some_crops(1)], job=left, reply_to=listener.reply_to)
    listener.forget(left.id)
    finish(crops, lease, crops.claim(lease, {"digits@1:ada": 1}).claimed)

    answers = _expect(listener, job.id)
    accept(crops, [some_crops(1)], job=job, reply_to=listener.reply_to)
    finish(crops, lease, crops.claim(lease, {"digits@1:ada": 1}).claimed)

    assert answers.next()
    assert unheard.is_silent()


def test_nothing_is_heard_after_the_last_answer_that_is_expected(
    listener: Listener, connection: Connection
) -> None:
    problem = Answer(problem=problem_of(ExpiredError()))
    answers, following = _expect(listener, "request"), _expect(listener, "next")
    told = [("request", 4, problem.pack()), ("request", 5, problem.pack()), ("next", 0, problem.pack())]

    connection.client.xadd(listener.reply_to, {"batch": msgpack.packb(told)})

    assert following.next()
    assert answers.next() == (4, problem)
    assert answers.is_silent()


def test_a_request_whose_crops_are_cancelled_hears_of_it_at_once(
    listener: Listener, crops: CropStore, jobs: JobStore
) -> None:
    job = a_job(JobKind.CLASSIFICATION)
    answers = _expect(listener, job.id, parts=2)
    accept(crops, [some_crops(1)] * 2, job=job, reply_to=listener.reply_to)

    jobs.cancel(job.id)

    assert answers.next()[1] == Answer(problem=problem_of(JobCancelledError()))


def test_a_change_of_a_job_wakes_its_subscriber(listener: Listener, jobs: JobStore) -> None:
    job = a_job()
    jobs.submit(job, Idempotency(), most=PLENTY)

    with listener.subscribed(job.id) as changed:
        changed.clear()
        jobs.cancel(job.id)

        assert changed.wait(LONG_S)


def test_stopping_ends_the_waits_for_changes_and_answers_are_still_heard(
    listener: Listener, crops: CropStore, lease: Lease
) -> None:
    job = a_job()
    answers = _expect(listener, job.id)
    with listener.subscribed("other") as changed:
        accept(crops, [some_crops(1)], job=job, reply_to=listener.reply_to)

        listener.stop()
        finish(crops, lease, crops.claim(lease, {"digits@1:ada": 1}).claimed)

        assert changed.wait(LONG_S)
        assert answers.next()


def test_every_subscriber_of_a_job_is_woken(listener: Listener, jobs: JobStore) -> None:
    job = a_job()
    jobs.submit(job, Idempotency(), most=PLENTY)

    with listener.subscribed(job.id) as first, listener.subscribed(job.id) as second:
        jobs.cancel(job.id)

        assert first.wait(LONG_S)
        assert second.wait(LONG_S)


def test_a_change_before_the_listener_was_ready_is_not_missed(connection: Connection, jobs: JobStore) -> None:
    job = a_job()
    jobs.submit(job, Idempotency(), most=PLENTY)
    listener = Listener(connection)

    with listener.subscribed(job.id) as changed:
        jobs.cancel(job.id)
        listener.start()
        heard = changed.wait(LONG_S)
        listener.close()

    assert heard


def test_a_listener_that_was_stopped_leaves_no_thread_and_no_key(connection: Connection) -> None:
    with _listening(connection) as listener:
        pass

    assert "listener" not in {thread.name for thread in threading.enumerate()}
    assert connection.client.exists(listener.reply_to) == 0


def test_answers_and_changes_are_heard_over_a_restart_of_redis(short_folder: Path) -> None:
    log = short_folder / "redis.log"
    with redis_server(short_folder, log) as (url, _):
        connection = Connection(url, retries=0)
        jobs = JobStore(connection, keep_jobs_s=3600)
        crops = CropStore(connection, max_waiting=PLENTY, keep_results_s=3600)
        lease = ChipStore(connection, lease_s=60).take(CHIP, a_holder())
        job, request = a_job(), a_job()
        jobs.submit(job, Idempotency(), most=PLENTY)
        listener = Listener(connection)
        listener.start()
        answers = _expect(listener, request.id)
        accept(crops, [some_crops(1)], job=request, recorded=False, reply_to=listener.reply_to)

    with redis_server(short_folder, log):
        with listener.subscribed(job.id) as changed:
            jobs.cancel(job.id)
            finish(crops, lease, crops.claim(lease, {"digits@1:ada": 1}).claimed)
            heard_change, heard_answer = changed.wait(LONG_S), answers.next()
        listener.close()
        connection.close()

    assert heard_change
    assert heard_answer
