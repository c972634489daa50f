"""Long jobs in slices: they give way, fail, rest and go on, and everything is recorded."""

import json
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from deploy.redis_server import redis_server
from services.chips.store import ChipStore, Lease
from services.errors import (
    ChipError,
    ChipUnavailableError,
    InvalidInputError,
    LeaseLostError,
    RedisUnavailableError,
    StorageError,
)
from services.jobs.acceptance import Idempotency
from services.jobs.record import Job, JobState
from services.jobs.store import JobStore
from services.jobs.usage import UsageStore
from services.store.connection import Connection
from tests.services.samples import CHIP, PLENTY, a_holder, a_job, events_of
from tests.worker.counting import Counting
from worker.checkpoints import Saves
from worker.chip import ChipSession
from worker.crash_marker import CrashMarker
from worker.learning.training_state import TrainerState
from worker.long_work import LongWork

ENDLESS_S = 1e9


def _nobody_waits() -> bool:
    return False


def _somebody_waits() -> bool:
    return True


@dataclass
class Desk:
    """Long work, and what it works on."""

    jobs: JobStore
    long_work: LongWork
    activities: dict[str, Counting] = field(default_factory=dict)
    taken_up: list[str] = field(default_factory=list)

    def submit(self, activity: Counting, user: str = "ada") -> Job:
        """A new job with this activity."""
        job = a_job(user=user)
        self.jobs.submit(job, Idempotency(), most=PLENTY)
        self.activities[job.id] = activity
        return job

    def slice(
        self,
        job: Job,
        quantum_s: float = ENDLESS_S,
        yields_after_s: float = 0.0,
        crops_wait: Callable[[], bool] = _nobody_waits,
    ) -> Job:
        """The job's record after a slice."""
        self.long_work.run_slice(self.jobs.get(job.id), quantum_s, yields_after_s, crops_wait)
        return self.jobs.get(job.id)


def _desk(
    jobs: JobStore,
    lease: Lease,
    session: ChipSession,
    saves: Saves,
    marker: CrashMarker,
    save_every_s: float = 60.0,
) -> Desk:
    activities: dict[str, Counting] = {}
    taken_up: list[str] = []

    def take_up(job: Job) -> Counting:
        taken_up.append(job.id)
        return activities[job.id]

    long_work = LongWork(lease, session, jobs, saves, take_up, marker, save_every_s=save_every_s)
    return Desk(jobs, long_work, activities, taken_up)


@pytest.fixture
def desk(jobs: JobStore, lease: Lease, session: ChipSession, saves: Saves, marker: CrashMarker) -> Desk:
    return _desk(jobs, lease, session, saves, marker)


def test_a_job_with_time_enough_is_done_in_one_slice(desk: Desk) -> None:
    job = desk.submit(Counting(steps=5))

    ended = desk.slice(job)

    assert (ended.state, ended.result, ended.progress) == (JobState.SUCCEEDED, {"counted": 5}, 1.0)
    assert (ended.attempts, ended.metrics) == (1, {"step": 5})
    assert ended.started_at is not None
    assert ended.finished_at is not None


def test_a_job_says_on_which_chip_it_ran(desk: Desk) -> None:
    ended = desk.slice(desk.submit(Counting(steps=1)))

    assert (ended.provenance["chip"], ended.provenance["backend"]) == (CHIP, "mock")


def test_a_slice_gives_way_to_crops_after_one_step(desk: Desk) -> None:
    activity = Counting(steps=5)
    job = desk.submit(activity)

    states = [desk.slice(job, crops_wait=_somebody_waits).state for _ in range(2)]

    assert (states, activity.steps_done) == ([JobState.RUNNING] * 2, 2)


def test_a_slice_does_not_give_way_before_its_time(desk: Desk) -> None:
    activity = Counting(steps=5)

    desk.slice(desk.submit(activity), yields_after_s=ENDLESS_S, crops_wait=_somebody_waits)

    assert activity.finished


def test_a_slice_ends_with_its_quantum(desk: Desk) -> None:
    activity = Counting(steps=5)

    desk.slice(desk.submit(activity), quantum_s=0.0)

    assert activity.steps_done == 1


def test_a_job_is_taken_up_once_and_goes_on_where_it_was(desk: Desk) -> None:
    job = desk.submit(Counting(steps=3))

    states = [desk.slice(job, quantum_s=0.0).state for _ in range(3)]

    assert states == [JobState.RUNNING, JobState.RUNNING, JobState.SUCCEEDED]
    assert desk.taken_up == [job.id]


def test_a_job_taken_up_again_by_another_process_counts_its_attempts(
    desk: Desk, jobs: JobStore, lease: Lease, session: ChipSession, saves: Saves, marker: CrashMarker
) -> None:
    job = desk.submit(Counting(steps=3))
    first = desk.slice(job, quantum_s=0.0)
    other = _desk(jobs, lease, session, saves, marker)
    other.activities[job.id] = Counting(steps=3, start=1)

    ended = other.slice(job)

    assert (first.attempts, ended.attempts) == (1, 2)
    assert ended.started_at == first.started_at


def test_time_on_the_chip_is_charged_to_the_jobs_user(desk: Desk, usage: UsageStore) -> None:
    ended = desk.slice(desk.submit(Counting(steps=3), user="grace"))

    assert ended.chip_time_s > 0
    assert usage.by_user(["training"])["grace"]["training"] == pytest.approx(ended.chip_time_s, abs=1e-5)


def test_what_is_not_recorded_yet_is_known(desk: Desk) -> None:
    job = desk.submit(Counting(steps=3), user="grace")

    desk.slice(job, quantum_s=0.0)

    assert desk.long_work.unrecorded_s("grace") > 0
    assert desk.long_work.unrecorded_s("ada") == 0


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (ChipUnavailableError("the chip is gone"), "chip_unavailable"),
        (InvalidInputError("no such data"), "invalid_input"),
        (RuntimeError("a bug"), "internal_error"),
    ],
)
def test_a_job_whose_step_fails_has_failed_with_the_error(desk: Desk, error: Exception, code: str) -> None:
    def fail(_: int) -> None:
        raise error

    ended = desk.slice(desk.submit(Counting(steps=3, on_step=fail)))

    assert ended.state is JobState.FAILED
    assert ended.error is not None
    assert ended.error["code"] == code
    assert str(error) in ended.error["message"]


def test_a_job_that_fails_does_not_disturb_another(desk: Desk) -> None:
    def fail(_: int) -> None:
        raise RuntimeError

    desk.slice(desk.submit(Counting(steps=3, on_step=fail)))

    assert desk.slice(desk.submit(Counting(steps=3))).state is JobState.SUCCEEDED


def test_a_cancelled_job_keeps_its_part(desk: Desk, jobs: JobStore) -> None:
    job = desk.submit(Counting(steps=3))
    desk.slice(job, quantum_s=0.0)
    jobs.cancel(job.id)

    ended = desk.slice(job)

    assert (ended.state, ended.result) == (JobState.CANCELLED, {"counted": 1, "partial": True})


def test_a_job_cancelled_while_its_worker_was_dead_keeps_its_saved_part(
    desk: Desk, jobs: JobStore, lease: Lease, session: ChipSession, saves: Saves, marker: CrashMarker
) -> None:
    job = desk.submit(Counting(steps=3))
    desk.slice(job, quantum_s=0.0)
    jobs.cancel(job.id)
    other = _desk(jobs, lease, session, saves, marker)
    other.activities[job.id] = Counting(steps=3, start=1)

    ended = other.slice(job)

    assert (ended.state, ended.result) == (JobState.CANCELLED, {"counted": 1, "partial": True})


def test_a_job_cancelled_before_it_began_is_left_alone(desk: Desk, jobs: JobStore) -> None:
    job = desk.submit(Counting(steps=3))
    stale = jobs.get(job.id)
    jobs.cancel(job.id)

    desk.long_work.run_slice(stale, ENDLESS_S, 0.0, _nobody_waits)

    assert jobs.get(job.id).state is JobState.CANCELLED
    assert jobs.get(job.id).attempts == 0


def test_a_finished_job_leaves_no_save_and_no_marker(desk: Desk, saves: Saves, marker: CrashMarker) -> None:
    job = desk.submit(Counting(steps=3))
    saves.write(job.id, TrainerState({}, {"step_count": 1}))

    desk.slice(job)

    assert saves.read(job.id) is None
    assert marker.read() == ""


def test_the_marker_names_the_job_in_its_slice(desk: Desk, marker: CrashMarker) -> None:
    marks: list[str] = []
    job = desk.submit(Counting(steps=2, on_step=lambda _: marks.append(marker.read())))

    desk.slice(job)

    assert marks == [job.id, job.id]


def test_a_job_that_the_disk_refuses_rests_and_is_not_failed(desk: Desk) -> None:
    activity = Counting(steps=2)
    activity.refusals = [StorageError("the disk is full")]
    job = desk.submit(activity)

    refused = desk.slice(job)

    assert refused.state is JobState.RUNNING
    assert not desk.long_work.may_run(refused)
    _, _, event = events_of(desk.jobs, job.id)[-1]
    assert (event["type"], event["problem"]["code"]) == ("storage_failed", "storage_failed")


def test_a_job_that_rested_is_completed_when_the_disk_takes_it(desk: Desk) -> None:
    activity = Counting(steps=2)
    activity.refusals = [StorageError(), StorageError()]
    job = desk.submit(activity)

    states = [desk.slice(job).state for _ in range(3)]

    assert states == [JobState.RUNNING, JobState.RUNNING, JobState.SUCCEEDED]
    assert activity.steps_done == 2


def _fail_times(failures: int) -> Callable[[int], None]:
    """A step that the chip fails so often in a row."""
    left = [ChipError("the chip is hot", retry_after_s=0.0) for _ in range(failures)]

    def on_step(_: int) -> None:
        if left:
            raise left.pop()

    return on_step


def test_a_job_that_the_chip_fails_is_taken_up_again(desk: Desk) -> None:
    job = desk.submit(Counting(steps=3, on_step=_fail_times(2)))

    records = [desk.slice(job) for _ in range(3)]

    assert [record.state for record in records] == [JobState.RUNNING, JobState.RUNNING, JobState.SUCCEEDED]
    assert desk.taken_up == [job.id] * 3
    said = [event["problem"]["code"] for _, _, event in events_of(desk.jobs, job.id) if "problem" in event]
    assert said == ["chip_failed", "chip_failed"]


def test_a_job_rests_after_the_chip_failed_while_another_goes_on(desk: Desk) -> None:
    def fail(_: int) -> None:
        raise ChipError

    rested = desk.slice(desk.submit(Counting(steps=3, on_step=fail)))
    other = desk.submit(Counting(steps=3))

    assert not desk.long_work.may_run(rested)
    assert desk.long_work.may_run(desk.jobs.get(other.id))
    assert desk.slice(other).state is JobState.SUCCEEDED


def test_a_job_that_the_chip_fails_five_times_in_a_row_has_failed(desk: Desk) -> None:
    job = desk.submit(Counting(steps=3, on_step=_fail_times(5)))

    records = [desk.slice(job) for _ in range(5)]

    assert [record.state for record in records] == [JobState.RUNNING] * 4 + [JobState.FAILED]
    assert records[-1].error == {"code": "chip_failed", "message": "the chip is hot"}


def test_failures_of_the_chip_are_counted_anew_after_a_slice_that_went_well(desk: Desk) -> None:
    errors = dict.fromkeys(range(3), 4)

    def fail_four_times_each(step: int) -> None:
        if errors[step]:
            errors[step] -= 1
            raise ChipError(retry_after_s=0.0)

    activity = Counting(steps=3, on_step=fail_four_times_each)
    job = desk.submit(activity)

    records = [desk.slice(job, quantum_s=0.0) for _ in range(15)]

    assert records[-1].state is JobState.SUCCEEDED


@pytest.mark.parametrize(
    "error", [RuntimeError("a bug"), StorageError(), ChipError(), ChipUnavailableError()]
)
def test_a_job_that_was_ended_elsewhere_while_it_failed_here_is_left_alone(
    desk: Desk, connection: Connection, error: Exception
) -> None:
    def end_and_fail(_: int) -> None:
        connection.client.hset(f"hx:job:{job.id}", "state", json.dumps(JobState.FAILED))
        raise error

    job = desk.submit(Counting(steps=3, on_step=end_and_fail))

    ended = desk.slice(job)

    assert (ended.state, ended.error) == (JobState.FAILED, None)
    assert desk.long_work.unrecorded_s("ada") == 0


def test_the_work_done_before_the_chip_failed_is_charged(desk: Desk, usage: UsageStore) -> None:
    def work_and_fail(step: int) -> None:
        if step == 1:
            raise ChipError
        sum(range(1_000_000))

    ended = desk.slice(desk.submit(Counting(steps=3, on_step=work_and_fail), user="grace"))

    assert ended.chip_time_s > 0
    assert usage.by_user(["training"])["grace"]["training"] == pytest.approx(ended.chip_time_s, abs=1e-5)


class _Saving(Counting):
    """Counts, and goes on from its save."""

    def __init__(self, job: Job, saves: Saves, on_step: Callable[[int], None]) -> None:
        super().__init__(steps=1_000_000, on_step=on_step, start=max(0, saves.step_of(job.id)))
        self._job_id = job.id
        self._saves = saves

    def save(self) -> None:
        """Keeps the position on disk."""
        self._saves.write(self._job_id, TrainerState({}, {"step_count": self.steps_done}))


def test_a_job_goes_on_from_its_last_save_after_the_chip_failed(
    jobs: JobStore, lease: Lease, session: ChipSession, saves: Saves, marker: CrashMarker
) -> None:
    steps: list[int] = []
    errors: list[ChipError] = []

    def on_step(step: int) -> None:
        if errors:
            raise errors.pop()
        steps.append(step)

    def take_up(job: Job) -> _Saving:
        return _Saving(job, saves, on_step)

    long_work = LongWork(lease, session, jobs, saves, take_up, marker, save_every_s=60)
    job = a_job()
    jobs.submit(job, Idempotency(), most=PLENTY)
    while saves.step_of(job.id) < 0:
        long_work.run_slice(jobs.get(job.id), 0.0, 0.0, _nobody_waits)
    saved = saves.step_of(job.id)
    for _ in range(3):
        long_work.run_slice(jobs.get(job.id), 0.0, 0.0, _nobody_waits)

    errors.append(ChipError())
    for _ in range(2):
        long_work.run_slice(jobs.get(job.id), 0.0, 0.0, _nobody_waits)

    assert steps == [*range(saved + 3), saved]


def test_everything_under_way_is_saved_before_the_process_ends(desk: Desk) -> None:
    activities = [Counting(steps=3), Counting(steps=3)]
    activities[0].refusals = [StorageError()]
    for activity in activities:
        desk.slice(desk.submit(activity), quantum_s=0.0)

    desk.long_work.save_all()

    assert [activity.saved for activity in activities] == [[], [1]]


def test_a_worker_that_was_replaced_records_nothing(desk: Desk, chips: ChipStore) -> None:
    job = desk.submit(Counting(steps=3))
    desk.slice(job, quantum_s=0.0)
    chips.take(CHIP, a_holder("second"), dead=a_holder())
    before = desk.jobs.get(job.id)

    with pytest.raises(LeaseLostError):
        desk.slice(job)

    assert desk.jobs.get(job.id) == before


def test_a_job_goes_on_where_it_was_after_redis_was_away(
    short_folder: Path, session: ChipSession, saves: Saves, marker: CrashMarker
) -> None:
    steps: list[int] = []
    with redis_server(short_folder, short_folder / "log") as (url, _):
        connection = Connection(url, retries=0)
        jobs = JobStore(connection, keep_jobs_s=3600)
        lease = ChipStore(connection, lease_s=60).take(CHIP, a_holder())
        desk = _desk(jobs, lease, session, saves, marker)
        job = desk.submit(Counting(steps=4, on_step=steps.append))
        record = desk.slice(job, quantum_s=0.0)

    with pytest.raises(RedisUnavailableError):
        desk.long_work.run_slice(record, ENDLESS_S, 0.0, _nobody_waits)
    with redis_server(short_folder, short_folder / "log"):
        ended = desk.slice(job)
        connection.close()

    assert (ended.state, steps, desk.taken_up) == (JobState.SUCCEEDED, [0, 1, 2, 3], [job.id])


def test_a_worker_that_was_replaced_writes_no_file(desk: Desk, chips: ChipStore) -> None:
    activity = Counting(steps=3)
    activity.refusals = [AssertionError("it wrote a file")]
    job = desk.submit(activity)
    desk.slice(job, quantum_s=0.0)
    chips.take(CHIP, a_holder("second"), dead=a_holder())

    with pytest.raises(LeaseLostError):
        desk.slice(job)
    desk.long_work.save_all()

    assert len(activity.refusals) == 1
