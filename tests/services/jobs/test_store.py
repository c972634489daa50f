"""The record of a job, and the table of its states."""

import json
import math
from dataclasses import asdict, fields

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from services.chips.store import ChipStore, Lease
from services.errors import InvalidTransitionError, JobNotFoundError, LeaseLostError
from services.jobs.acceptance import Idempotency
from services.jobs.record import TRANSITIONS, Job, JobKind, JobState, states_before, to_hash
from services.jobs.store import JobStore
from services.jobs.usage import UsageStore
from services.store.connection import Connection
from tests.services.samples import PLENTY, a_job, events_of

_numbers = st.floats(allow_nan=False, allow_infinity=False)
_json = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | _numbers | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)
_objects = st.dictionaries(st.text(), _json, max_size=3)
_records = st.builds(
    Job,
    id=st.text(),
    kind=st.sampled_from(JobKind),
    user=st.text(),
    model=st.text(),
    params=_objects,
    state=st.sampled_from(JobState),
    created_at=_numbers,
    revision=st.integers(1, 2**53),
    updated_at=st.none() | _numbers,
    started_at=st.none() | _numbers,
    finished_at=st.none() | _numbers,
    progress=st.floats(0, 1),
    metrics=_objects,
    result=st.none() | _objects,
    error=st.none() | st.dictionaries(st.text(), st.text(), max_size=2),
    provenance=_objects,
    attempts=st.integers(0, 9),
    deaths=st.integers(0, 9),
    died_at_step=st.integers(-1, 99),
    chip_time_s=st.floats(0, 1e9),
    cancel_requested=st.booleans(),
)


@given(_records)
@settings(deadline=None)
def test_a_record_comes_back_from_its_hash_as_it_was(job: Job) -> None:
    stored = {name.encode(): text.encode() for name, text in to_hash(asdict(job)).items()}

    read = Job.from_hash(stored)

    assert read == job


def test_a_record_ignores_fields_it_does_not_know() -> None:
    stored = {name.encode(): text.encode() for name, text in to_hash(asdict(a_job())).items()}

    read = Job.from_hash(stored | {b"parts": b"3"})

    assert {f.name for f in fields(read)}.isdisjoint({"parts"})


def test_the_table_has_a_line_for_every_state() -> None:
    assert set(TRANSITIONS) == set(JobState)


def test_a_job_ends_in_one_of_four_states() -> None:
    final = {state for state in JobState if state.is_final}

    assert final == {JobState.SUCCEEDED, JobState.FAILED, JobState.CANCELLED, JobState.EXPIRED}


@pytest.mark.parametrize("state", JobState)
def test_states_before_are_those_whose_line_names_the_state(state: JobState) -> None:
    before = states_before(state)

    assert all((state in after) == (other in before) for other, after in TRANSITIONS.items())


def test_only_classifications_and_programs_are_not_worked_on_in_slices() -> None:
    assert [kind for kind in JobKind if not kind.is_long] == [JobKind.CLASSIFICATION, JobKind.PROGRAM]


def test_a_submitted_job_is_read_back_with_the_time_of_redis(jobs: JobStore) -> None:
    job = a_job()

    jobs.submit(job, Idempotency(), most=PLENTY)

    read = jobs.get(job.id)
    assert (read.id, read.kind, read.user, read.model) == (job.id, job.kind, job.user, job.model)
    assert read.state is JobState.QUEUED
    assert read.revision == 1
    assert math.isclose(read.created_at, job.created_at, abs_tol=60)


def test_a_change_is_an_event_and_a_new_revision(jobs: JobStore, lease: Lease) -> None:
    job = a_job()
    jobs.submit(job, Idempotency(), most=PLENTY)

    jobs.change(job, lease=lease, allowed=(JobState.QUEUED,), event={"type": "note"}, progress=0.25)

    read = jobs.get(job.id)
    assert (read.revision, read.progress) == (2, 0.25)
    assert [event["type"] for _, _, event in events_of(jobs, job.id)] == ["state", "note"]


def test_a_change_in_another_state_than_those_allowed_is_refused(jobs: JobStore, lease: Lease) -> None:
    job = a_job()
    jobs.submit(job, Idempotency(), most=PLENTY)

    with pytest.raises(InvalidTransitionError, match="queued"):
        jobs.change(job, lease=lease, allowed=(JobState.RUNNING,), event={"type": "note"}, progress=0.25)

    assert jobs.get(job.id).revision == 1


def test_a_change_of_a_job_that_is_gone_leaves_nothing_behind(jobs: JobStore, lease: Lease) -> None:
    with pytest.raises(JobNotFoundError):
        jobs.change(a_job(), lease=lease, allowed=tuple(JobState), event={"type": "note"}, progress=1.0)

    assert jobs.newest(before=None, count=5) == []
    assert jobs.unfinished() == []


def test_events_after_one_are_those_that_came_later(jobs: JobStore, lease: Lease) -> None:
    job = a_job()
    jobs.submit(job, Idempotency(), most=PLENTY)
    for number in range(3):
        jobs.change(job, lease=lease, allowed=(JobState.QUEUED,), event={"type": "note", "number": number})
    second = events_of(jobs, job.id)[1][0]

    later = events_of(jobs, job.id, after=second)

    assert [event["number"] for _, _, event in later] == [1, 2]


def test_a_finished_job_and_its_events_expire_together(jobs: JobStore, connection: Connection) -> None:
    job = a_job()
    jobs.submit(job, Idempotency(), most=PLENTY)

    jobs.cancel(job.id)

    client = connection.client
    assert all(0 < client.ttl(key) <= 3600 for key in (f"hx:job:{job.id}", f"hx:job:{job.id}:events"))
    assert jobs.unfinished() == []


def test_chip_time_is_charged_to_job_user_and_kind(jobs: JobStore, usage: UsageStore, lease: Lease) -> None:
    job = a_job(user="grace")
    jobs.submit(job, Idempotency(), most=PLENTY)

    for seconds in (0.5, 0.25):
        jobs.change(job, lease=lease, allowed=(JobState.QUEUED,), event={"type": "note"}, charged_s=seconds)

    assert jobs.get(job.id).chip_time_s == pytest.approx(0.75)
    assert usage.by_user(JobKind) == {"grace": {"training": pytest.approx(0.75)}}
    assert jobs.charged()["grace"].seconds == pytest.approx(0.75, abs=0.01)


def test_an_old_charge_counts_less(jobs: JobStore, lease: Lease, connection: Connection) -> None:
    job = a_job(user="grace")
    jobs.submit(job, Idempotency(), most=PLENTY)
    client = connection.client
    seconds, microseconds = client.time()
    client.hset("hx:charged", "grace", f"8.0 {seconds + microseconds / 1e6 - 600:.3f}")

    jobs.change(job, lease=lease, allowed=(JobState.QUEUED,), event={"type": "note"}, charged_s=1.0)

    assert jobs.charged()["grace"].seconds == pytest.approx(5.0, abs=0.05)


def test_results_of_a_job_that_has_none_are_empty(jobs: JobStore) -> None:
    assert jobs.results("nothing") == {}


def test_a_cancelled_job_stays_as_it_is_when_cancelled_again(jobs: JobStore) -> None:
    job = a_job()
    jobs.submit(job, Idempotency(), most=PLENTY)
    jobs.cancel(job.id)
    before = jobs.get(job.id)

    jobs.cancel(job.id)

    assert jobs.get(job.id) == before


def test_cancelling_a_running_job_asks_once_and_leaves_the_state_to_the_worker(
    jobs: JobStore, lease: Lease
) -> None:
    job = a_job()
    jobs.submit(job, Idempotency(), most=PLENTY)
    jobs.change(job, lease=lease, allowed=(JobState.QUEUED,), event={"type": "state"}, state=JobState.RUNNING)

    jobs.cancel(job.id)
    jobs.cancel(job.id)

    read = jobs.get(job.id)
    assert (read.state, read.cancel_requested, read.revision) == (JobState.RUNNING, True, 3)


@pytest.mark.parametrize("job_id", ["nothing", "", "a b", "x:events", "*"])
def test_a_job_that_was_never_submitted_is_not_found(jobs: JobStore, job_id: str) -> None:
    with pytest.raises(JobNotFoundError, match="no job"):
        jobs.get(job_id)


def test_the_events_of_a_job_are_no_job(jobs: JobStore) -> None:
    job = a_job()
    jobs.submit(job, Idempotency(), most=PLENTY)

    with pytest.raises(JobNotFoundError):
        jobs.get(f"{job.id}:events")
    with pytest.raises(JobNotFoundError):
        jobs.cancel(f"{job.id}:events")


def test_stored_fields_are_json(jobs: JobStore, connection: Connection) -> None:
    job = a_job()
    jobs.submit(job, Idempotency(), most=PLENTY)
    client = connection.client

    stored = client.hgetall(f"hx:job:{job.id}")

    assert isinstance(stored, dict)
    assert all(json.dumps(json.loads(text)) for text in stored.values())


def test_the_list_of_jobs_does_not_keep_those_that_have_expired(
    jobs: JobStore, connection: Connection
) -> None:
    for _ in range(200):
        job = a_job()
        jobs.submit(job, Idempotency(), most=PLENTY)
        connection.client.delete(f"hx:job:{job.id}")

    kept = [a_job() for _ in range(200)]
    for job in kept:
        jobs.submit(job, Idempotency(), most=PLENTY)

    listed = {job_id for _, job_id in jobs.newest(before=None, count=PLENTY)}
    assert listed >= {job.id for job in kept}
    assert len(listed) < 220


def test_a_job_sent_again_because_its_answer_was_lost_stays_as_it_has_become(
    jobs: JobStore, lease: Lease
) -> None:
    job = a_job()
    jobs.submit(job, Idempotency(), most=PLENTY)
    jobs.change(job, lease=lease, allowed=[JobState.QUEUED], event={}, state=JobState.RUNNING)

    accepted = jobs.submit(job, Idempotency(), most=PLENTY)

    assert accepted.id == job.id
    assert jobs.get(job.id).state is JobState.RUNNING


def test_only_the_holder_of_the_lease_is_confirmed(jobs: JobStore, chips: ChipStore, lease: Lease) -> None:
    jobs.confirm(lease)
    chips.release(lease)
    successor = chips.take(lease.chip, {"host": "second"})

    with pytest.raises(LeaseLostError):
        jobs.confirm(lease)
    jobs.confirm(successor)
