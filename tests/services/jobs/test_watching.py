"""Watching: a change is read once for all who watch, state at once, progress in turns, and nothing is lost."""

import json
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack

import pytest

from services.chips.store import Lease
from services.crops.listener import Listener
from services.errors import JobNotFoundError
from services.jobs.record import Job, JobState
from services.jobs.store import Idempotency, JobStore
from services.jobs.watching import Watches
from services.store.connection import Connection
from tests.services.samples import PLENTY, a_job

UNFINISHED = (JobState.QUEUED, JobState.RUNNING)


@pytest.fixture
def watches(connection: Connection, jobs: JobStore) -> Iterator[Watches]:
    listener = Listener(connection)
    watches = Watches(jobs, listener)
    listener.start()
    watches.start()
    yield watches
    listener.close()
    watches.stop()


@pytest.fixture
def job(jobs: JobStore) -> Job:
    job = a_job()
    jobs.submit(job, Idempotency(), most=PLENTY)
    return job


def _progress(jobs: JobStore, lease: Lease, job: Job, progress: float) -> None:
    event = {"type": "progress", "progress": progress}
    jobs.change(job, lease=lease, allowed=UNFINISHED, event=event, progress=progress)


def test_a_change_is_told_with_the_job_and_its_event(watches: Watches, jobs: JobStore, job: Job) -> None:
    with watches.watching(job.id) as watch:
        place = jobs.events(job.id)[-1][0]
        jobs.cancel(job.id)

        assert watch.wait(10)
        if not watch.happenings(place):  # told to look again, as the listener has begun to hear only now
            assert watch.wait(10)
        [happening] = watch.happenings(place) or []

    assert watch.job.state is JobState.CANCELLED
    assert (happening.type, json.loads(happening.data)["state"]) == ("state", "cancelled")
    assert json.loads(happening.data)["at"] == jobs.events(job.id)[-1][1]


def test_hundreds_who_watch_are_all_told_that_a_job_has_ended(
    watches: Watches, jobs: JobStore, job: Job
) -> None:
    with ExitStack() as stack:
        all_watches = [stack.enter_context(watches.watching(job.id)) for _ in range(300)]
        jobs.cancel(job.id)

        assert all(watch.wait(10) for watch in all_watches)
        assert all(watch.job.state is JobState.CANCELLED for watch in all_watches)


def test_everyone_hears_of_progress_in_the_end(
    watches: Watches, jobs: JobStore, job: Job, lease: Lease
) -> None:
    with ExitStack() as stack:
        all_watches = [stack.enter_context(watches.watching(job.id)) for _ in range(50)]
        _progress(jobs, lease, job, 0.5)

        assert all(watch.wait(10) for watch in all_watches)
        assert {watch.job.progress for watch in all_watches} == {0.5}


def test_progress_that_is_obsolete_is_not_told_and_what_else_happened_is(
    watches: Watches, jobs: JobStore, job: Job, lease: Lease
) -> None:
    with watches.watching(job.id) as watch:
        place = jobs.events(job.id)[-1][0]
        for progress in (0.1, 0.2, 0.3):
            _progress(jobs, lease, job, progress)
        jobs.cancel(job.id)
        while not watch.job.state.is_final:
            assert watch.wait(10)
        told = [json.loads(happening.data) for happening in watch.happenings(place) or []]

    assert [event.get("progress", event.get("state")) for event in told] == [0.3, "cancelled"]


def test_what_happened_before_anybody_watched_is_in_the_history(
    watches: Watches, jobs: JobStore, job: Job, lease: Lease
) -> None:
    _progress(jobs, lease, job, 0.5)

    with watches.watching(job.id) as watch:
        assert watch.happenings("0") is None

    assert [happening.type for happening in watches.history(job.id, "0")] == ["state", "progress"]


def test_who_fell_far_behind_is_sent_to_the_history(
    watches: Watches, jobs: JobStore, job: Job, lease: Lease
) -> None:
    with watches.watching(job.id) as watch:
        place = jobs.events(job.id)[-1][0]
        for _ in range(70):
            jobs.change(job, lease=lease, allowed=UNFINISHED, event={"type": "storage_failed"})
        newest = jobs.get(job.id).revision
        while watch.job.revision < newest:
            assert watch.wait(10)

        assert watch.happenings(place) is None
    assert len(watches.history(job.id, place)) == 70


def test_a_job_is_read_once_however_many_watch_it(
    connection: Connection, watches: Watches, jobs: JobStore, job: Job, lease: Lease
) -> None:
    with ExitStack() as stack:
        all_watches = [stack.enter_context(watches.watching(job.id)) for _ in range(100)]
        before = _reads(connection)
        _progress(jobs, lease, job, 0.5)
        assert all(watch.wait(10) for watch in all_watches)

        assert _reads(connection) - before <= 2


def test_who_watches_again_need_not_read_again(watches: Watches, job: Job) -> None:
    assert watches.peek(job.id) is None

    with watches.watching(job.id):
        pass

    peeked = watches.peek(job.id)
    assert peeked is not None
    assert peeked.id == job.id


def test_a_job_that_is_not_there_cannot_be_watched(watches: Watches) -> None:
    for _ in range(2):
        with pytest.raises(JobNotFoundError), watches.watching("nothing"):
            pass


def test_stopping_ends_the_waits(connection: Connection, jobs: JobStore, job: Job) -> None:
    listener = Listener(connection)
    watches = Watches(jobs, listener)
    listener.start()
    watches.start()
    with watches.watching(job.id) as watch:
        threading.Timer(0.05, listener.stop).start()

        assert watch.wait(10)
    listener.close()
    watches.stop()


def test_a_job_that_nobody_watches_is_forgotten_after_a_while(
    monkeypatch: pytest.MonkeyPatch, watches: Watches, jobs: JobStore, job: Job
) -> None:
    monkeypatch.setattr("services.jobs.watching._LINGER_S", 0.01)
    other = a_job()
    jobs.submit(other, Idempotency(), most=PLENTY)
    with watches.watching(job.id):
        pass

    with watches.watching(other.id) as watch:
        time.sleep(0.02)
        jobs.cancel(other.id)
        assert watch.wait(10)
        deadline = time.monotonic() + 10
        while watches.peek(job.id) is not None and time.monotonic() < deadline:
            time.sleep(0.01)

    assert watches.peek(job.id) is None


def _reads(connection: Connection) -> int:
    calls = connection.client.info("commandstats").get("cmdstat_hgetall", {"calls": 0})
    return int(calls["calls"])
