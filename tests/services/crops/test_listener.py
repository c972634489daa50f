"""What a process hears: answers to its own requests and changes of jobs, also over a restart of Redis."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import msgpack
import pytest

from deploy.redis_server import redis_server
from services.chips.store import ChipStore, Lease
from services.crops.answers import Answer, problem_of
from services.crops.listener import Listener, Reply
from services.crops.store import CropStore
from services.errors import ExpiredError, JobCancelledError
from services.jobs.record import JobKind
from services.jobs.store import Idempotency, JobStore
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


@pytest.fixture
def listener(connection: Connection) -> Iterator[Listener]:
    with _listening(connection) as listener:
        yield listener


def test_a_request_hears_its_answers_in_the_order_of_its_parts(
    listener: Listener, crops: CropStore, lease: Lease
) -> None:
    job = a_job()
    with listener.expecting(job.id, 3) as reply:
        parts = [some_crops(1, n) for n in range(3)]
        accept(crops, parts, job=job, reply_to=listener.reply_to)
        entries = crops.claim(lease, {"digits@1:ada": 3})

        finish(crops, lease, [entries[2], entries[0]])
        finish(crops, lease, [entries[1]])
        answers = reply.wait(LONG_S)

    assert answers is not None
    assert [answer.scores for answer in answers] == [scores_of(part).tobytes() for part in parts]


def test_a_request_does_not_hear_the_answers_of_another(
    listener: Listener, crops: CropStore, lease: Lease
) -> None:
    mine, other = a_job(), a_job()
    with listener.expecting(mine.id, 1) as reply, listener.expecting(other.id, 1) as theirs:
        accept(crops, [some_crops(1)], job=other, reply_to=listener.reply_to)

        finish(crops, lease, crops.claim(lease, {"digits@1:ada": 1}))

        assert theirs.wait(LONG_S) is not None
        assert reply.wait(0) is None


def test_an_answer_for_which_nobody_waits_any_more_does_no_harm(
    listener: Listener, crops: CropStore, lease: Lease
) -> None:
    accept(crops, [some_crops(1)], reply_to=listener.reply_to)
    finish(crops, lease, crops.claim(lease, {"digits@1:ada": 1}))
    job = a_job()

    with listener.expecting(job.id, 1) as reply:
        accept(crops, [some_crops(1)], job=job, reply_to=listener.reply_to)
        finish(crops, lease, crops.claim(lease, {"digits@1:ada": 1}))

        assert reply.wait(LONG_S) is not None


def test_a_part_that_cannot_be_run_is_the_answer_at_once(listener: Listener, connection: Connection) -> None:
    problem = Answer(problem=problem_of(ExpiredError()))
    with listener.expecting("request", 9) as reply:
        batch = msgpack.packb([("request", 4, problem.pack())])
        connection.client.xadd(listener.reply_to, {"batch": batch})

        answers = reply.wait(LONG_S)

    assert answers == [problem]


def test_who_waits_for_crops_that_are_cancelled_hears_of_it_at_once(
    listener: Listener, crops: CropStore, jobs: JobStore
) -> None:
    job = a_job(JobKind.CLASSIFICATION)
    with listener.expecting(job.id, 2) as reply:
        accept(crops, [some_crops(1)] * 2, job=job, reply_to=listener.reply_to)

        jobs.cancel(job.id)
        answers = reply.wait(LONG_S)

    assert answers == [Answer(problem=problem_of(JobCancelledError()))]


def test_what_comes_after_the_request_was_cancelled_is_not_its_answer() -> None:
    reply = Reply(parts=3)
    cancelled = Answer(problem=problem_of(JobCancelledError()))

    reply.put(0, cancelled)
    reply.put(0, Answer(digits=b"\x07"))

    assert reply.wait(0) == [cancelled]


def test_a_change_of_a_job_wakes_who_watches_it(listener: Listener, jobs: JobStore) -> None:
    job = a_job()
    jobs.submit(job, Idempotency(), most=PLENTY)

    with listener.watching(job.id) as changed:
        changed.clear()
        jobs.cancel(job.id)

        assert changed.wait(LONG_S)


def test_stopping_ends_the_waits_for_changes_and_answers_are_still_heard(
    listener: Listener, crops: CropStore, lease: Lease
) -> None:
    job = a_job()
    with listener.expecting(job.id, 1) as reply, listener.watching("other") as changed:
        accept(crops, [some_crops(1)], job=job, reply_to=listener.reply_to)

        listener.stop()
        finish(crops, lease, crops.claim(lease, {"digits@1:ada": 1}))

        assert changed.wait(LONG_S)
        assert reply.wait(LONG_S) is not None


def test_every_watcher_of_a_job_is_woken(listener: Listener, jobs: JobStore) -> None:
    job = a_job()
    jobs.submit(job, Idempotency(), most=PLENTY)

    with listener.watching(job.id) as first, listener.watching(job.id) as second:
        jobs.cancel(job.id)

        assert first.wait(LONG_S)
        assert second.wait(LONG_S)


def test_a_change_before_the_listener_was_ready_is_not_missed(connection: Connection, jobs: JobStore) -> None:
    job = a_job()
    jobs.submit(job, Idempotency(), most=PLENTY)
    listener = Listener(connection)

    with listener.watching(job.id) as changed:
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
        accept(crops, [some_crops(1)], job=request, recorded=False, reply_to=listener.reply_to)

    with redis_server(short_folder, log), listener.expecting(request.id, 1) as reply:
        with listener.watching(job.id) as changed:
            jobs.cancel(job.id)
            finish(crops, lease, crops.claim(lease, {"digits@1:ada": 1}))
            heard_change, heard_answer = changed.wait(LONG_S), reply.wait(LONG_S)
        listener.close()
        connection.close()

    assert heard_change
    assert heard_answer is not None
