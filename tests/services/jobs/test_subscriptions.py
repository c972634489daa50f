"""Subscriptions: a change is read once for all subscribers, state at once, progress in turns, and nothing is lost."""

import json
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack

import pytest

from services.chips.store import Lease
from services.crops.listener import Listener
from services.errors import JobNotFoundError
from services.jobs.acceptance import Idempotency
from services.jobs.record import Job, JobState
from services.jobs.store import JobStore
from services.jobs.subscriptions import Subscriptions
from services.store.connection import Connection
from tests.services.samples import PLENTY, a_job, events_of

UNFINISHED = (JobState.QUEUED, JobState.RUNNING)


@pytest.fixture
def subscriptions(connection: Connection, jobs: JobStore) -> Iterator[Subscriptions]:
    listener = Listener(connection)
    subscriptions = Subscriptions(jobs, listener)
    listener.start()
    subscriptions.start()
    yield subscriptions
    listener.close()
    subscriptions.stop()


@pytest.fixture
def job(jobs: JobStore) -> Job:
    job = a_job()
    jobs.submit(job, Idempotency(), most=PLENTY)
    return job


def _progress(jobs: JobStore, lease: Lease, job: Job, progress: float) -> None:
    event = {"type": "progress", "progress": progress}
    jobs.change(job, lease=lease, allowed=UNFINISHED, event=event, progress=progress)


def test_a_change_wakes_a_subscription_with_the_job_and_its_event(
    subscriptions: Subscriptions, jobs: JobStore, job: Job
) -> None:
    with subscriptions.subscribe(job.id) as subscription:
        place = events_of(jobs, job.id)[-1][0]
        jobs.cancel(job.id)

        assert subscription.wait(10)
        if not subscription.events(place):  # told to look again, as the listener has begun to hear only now
            assert subscription.wait(10)
        [event] = subscription.events(place) or []

    assert subscription.job.state is JobState.CANCELLED
    assert (event.type, json.loads(event.data)["state"]) == ("state", "cancelled")
    assert json.loads(event.data)["at"] == events_of(jobs, job.id)[-1][1]


def test_hundreds_of_subscriptions_all_learn_that_a_job_has_ended(
    subscriptions: Subscriptions, jobs: JobStore, job: Job
) -> None:
    with ExitStack() as stack:
        every_subscription = [stack.enter_context(subscriptions.subscribe(job.id)) for _ in range(300)]
        jobs.cancel(job.id)

        assert all(subscription.wait(10) for subscription in every_subscription)
        assert all(subscription.job.state is JobState.CANCELLED for subscription in every_subscription)


def test_every_subscription_learns_of_progress_in_the_end(
    subscriptions: Subscriptions, jobs: JobStore, job: Job, lease: Lease
) -> None:
    with ExitStack() as stack:
        every_subscription = [stack.enter_context(subscriptions.subscribe(job.id)) for _ in range(50)]
        _progress(jobs, lease, job, 0.5)

        assert all(subscription.wait(10) for subscription in every_subscription)
        assert {subscription.job.progress for subscription in every_subscription} == {0.5}


def test_obsolete_progress_is_left_out_and_other_events_are_not(
    subscriptions: Subscriptions, jobs: JobStore, job: Job, lease: Lease
) -> None:
    with subscriptions.subscribe(job.id) as subscription:
        place = events_of(jobs, job.id)[-1][0]
        for progress in (0.1, 0.2, 0.3):
            _progress(jobs, lease, job, progress)
        jobs.cancel(job.id)
        while not subscription.job.state.is_final:
            assert subscription.wait(10)
        told = [json.loads(event.data) for event in subscription.events(place) or []]

    assert [event.get("progress", event.get("state")) for event in told] == [0.3, "cancelled"]


def test_events_before_the_first_subscription_are_in_the_history(
    subscriptions: Subscriptions, jobs: JobStore, job: Job, lease: Lease
) -> None:
    _progress(jobs, lease, job, 0.5)

    with subscriptions.subscribe(job.id) as subscription:
        assert subscription.events("0") is None

    assert [event.type for event in subscriptions.history(job.id, "0")] == ["state", "progress"]


def test_a_subscription_far_behind_is_sent_to_the_history(
    subscriptions: Subscriptions, jobs: JobStore, job: Job, lease: Lease
) -> None:
    with subscriptions.subscribe(job.id) as subscription:
        place = events_of(jobs, job.id)[-1][0]
        for _ in range(70):
            jobs.change(job, lease=lease, allowed=UNFINISHED, event={"type": "storage_failed"})
        newest = jobs.get(job.id).revision
        while subscription.job.revision < newest:
            assert subscription.wait(10)

        assert subscription.events(place) is None
    assert len(subscriptions.history(job.id, place)) == 70


def test_a_job_is_read_once_for_all_subscriptions(
    connection: Connection, subscriptions: Subscriptions, jobs: JobStore, job: Job, lease: Lease
) -> None:
    with ExitStack() as stack:
        every_subscription = [stack.enter_context(subscriptions.subscribe(job.id)) for _ in range(100)]
        before = _reads(connection)
        _progress(jobs, lease, job, 0.5)
        assert all(subscription.wait(10) for subscription in every_subscription)

        assert _reads(connection) - before <= 2


def test_a_second_subscription_needs_no_second_read(subscriptions: Subscriptions, job: Job) -> None:
    assert subscriptions.peek(job.id) is None

    with subscriptions.subscribe(job.id):
        pass

    peeked = subscriptions.peek(job.id)
    assert peeked is not None
    assert peeked.id == job.id


def test_a_job_that_is_not_there_has_no_subscription(subscriptions: Subscriptions) -> None:
    for _ in range(2):
        with pytest.raises(JobNotFoundError), subscriptions.subscribe("nothing"):
            pass


def test_stopping_ends_the_waits(connection: Connection, jobs: JobStore, job: Job) -> None:
    listener = Listener(connection)
    subscriptions = Subscriptions(jobs, listener)
    listener.start()
    subscriptions.start()
    with subscriptions.subscribe(job.id) as subscription:
        threading.Timer(0.05, listener.stop).start()

        assert subscription.wait(10)
    listener.close()
    subscriptions.stop()


def test_a_job_without_subscriptions_is_forgotten_after_a_while(
    monkeypatch: pytest.MonkeyPatch, subscriptions: Subscriptions, jobs: JobStore, job: Job
) -> None:
    monkeypatch.setattr("services.jobs.subscriptions._LINGER_S", 0.01)
    other = a_job()
    jobs.submit(other, Idempotency(), most=PLENTY)
    with subscriptions.subscribe(job.id):
        pass

    with subscriptions.subscribe(other.id) as subscription:
        time.sleep(0.02)
        jobs.cancel(other.id)
        assert subscription.wait(10)
        deadline = time.monotonic() + 10
        while subscriptions.peek(job.id) is not None and time.monotonic() < deadline:
            time.sleep(0.01)

    assert subscriptions.peek(job.id) is None


def _reads(connection: Connection) -> int:
    calls = connection.client.info("commandstats").get("cmdstat_hgetall", {"calls": 0})
    return int(calls["calls"])
