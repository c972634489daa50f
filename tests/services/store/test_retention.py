"""What finished work leaves behind: it goes by itself, models stay, and no family of keys grows without end."""

import time
from collections.abc import Iterator

import pytest

from services.chips.store import ChipStore, Lease
from services.crops.store import CropStore
from services.errors import JobNotFoundError
from services.jobs.acceptance import Idempotency
from services.jobs.record import Job, JobState
from services.jobs.store import JobStore
from services.models.files import ModelStore
from services.store.connection import Connection
from tests.services.samples import PLENTY, a_job, accept, an_origin, finish, some_crops

KEEP_JOBS_S = 1000
KEEP_RESULTS_S = 500

_LASTING = ("hx:chip:", "hx:usage:", "hx:user:", "hx:users")
"""Families that have a key per chip, kind of work or user, and none per job or request."""

_SINGLE = {
    "hx:jobs",
    "hx:jobs:long:revision",
    "hx:changes",
    "hx:chips",
    "hx:chips:identifiers",
    "hx:charged",
    "hx:finished",
}


@pytest.fixture
def jobs(connection: Connection) -> JobStore:
    return JobStore(connection, keep_jobs_s=KEEP_JOBS_S)


@pytest.fixture
def crops(connection: Connection) -> CropStore:
    return CropStore(connection, max_waiting=PLENTY, keep_results_s=KEEP_RESULTS_S)


def _end(jobs: JobStore, lease: Lease, state: JobState) -> Job:
    job = a_job()
    jobs.submit(job, Idempotency(f"ada:{job.id}", "digest"), most=PLENTY)
    if state is JobState.CANCELLED:
        jobs.cancel(job.id)
        return job
    for step in (JobState.RUNNING, state):
        jobs.change(
            job, lease=lease, allowed=tuple(JobState), event={"type": "state"}, charged_s=0.1, state=step
        )
    return job


def _read(crops: CropStore, jobs: JobStore, lease: Lease) -> list[Job]:
    """Two classifications with answers, and one that is cancelled while its crops are on the chip."""
    accepted = [
        accept(crops, [some_crops(2)], idempotency=Idempotency(f"ada:{n}", "digest"))[0] for n in range(3)
    ]
    entries = crops.claim(lease, {"digits@1:ada": 6}).claimed
    jobs.cancel(accepted[2].id)
    finish(crops, lease, entries)
    return accepted


@pytest.fixture
def ended(jobs: JobStore, crops: CropStore, lease: Lease, models: ModelStore, chips: ChipStore) -> list[Job]:
    """A job of every kind of end."""
    models.publish(an_origin(), b"weights")
    chips.renew(lease, {"ready": True, "identifier": "mock"})
    final = (JobState.SUCCEEDED, JobState.FAILED, JobState.CANCELLED)
    long = [_end(jobs, lease, state) for state in final]
    return long + _read(crops, jobs, lease)


def _keys(connection: Connection) -> Iterator[tuple[str, int]]:
    """Every key and its time to live in seconds; -1 for ever."""
    for key in connection.client.scan_iter():
        yield key.decode(), int(connection.client.ttl(key))


def _let_time_pass(connection: Connection) -> None:
    """Lets everything go that would go in time, the lease excepted."""
    for key, ttl in list(_keys(connection)):
        if ttl >= 0 and not key.endswith(":lease"):
            connection.client.pexpire(key, 1)
    time.sleep(0.01)


def test_whatever_belongs_to_a_job_that_ended_goes_by_itself(
    ended: list[Job], connection: Connection
) -> None:
    lasting = {key for key, ttl in _keys(connection) if ttl < 0}

    assert {job.id for job in ended if any(job.id in key for key in lasting)} == set()
    assert {key for key in lasting - _SINGLE if not key.startswith(_LASTING)} == set()


def test_records_and_results_are_kept_as_long_as_was_set(ended: list[Job], connection: Connection) -> None:
    *others, first, second, _ = ended
    ttl_of = connection.client.ttl

    for job in (*others, first, second):
        kept_s = KEEP_JOBS_S if job in others else KEEP_RESULTS_S
        assert kept_s - 5 < ttl_of(f"hx:job:{job.id}") <= kept_s
        assert kept_s - 5 < ttl_of(f"hx:job:{job.id}:events") <= kept_s
    for job in (first, second):
        assert KEEP_RESULTS_S - 5 < ttl_of(f"hx:job:{job.id}:results") <= KEEP_RESULTS_S


def test_in_time_only_the_models_are_left(
    ended: list[Job], connection: Connection, jobs: JobStore, models: ModelStore
) -> None:
    _let_time_pass(connection)

    for job in ended:
        with pytest.raises(JobNotFoundError):
            jobs.get(job.id)
    assert models.versions("digits") == ["1"]


@pytest.mark.usefixtures("ended")
def test_a_key_that_was_forgotten_may_be_used_for_another_request(
    connection: Connection, crops: CropStore
) -> None:
    _let_time_pass(connection)

    _, again = accept(crops, [some_crops(3)], idempotency=Idempotency("ada:0", "another digest"))

    assert not again.repeated


@pytest.mark.usefixtures("ended")
def test_the_list_of_jobs_forgets_those_that_are_gone(
    connection: Connection, jobs: JobStore, lease: Lease
) -> None:
    _let_time_pass(connection)

    present = [_end(jobs, lease, JobState.SUCCEEDED) for _ in range(3)]

    assert {job_id for _, job_id in jobs.newest(before=None, count=100)} == {job.id for job in present}
