"""The scheduler loop, end to end in one process: crops and long work on one chip over a real Redis."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any, Literal

import pytest

from services.chips.series import SeriesStore
from services.chips.store import ChipStore, Drain, Lease
from services.crops.lanes import Lane
from services.crops.store import CropStore
from services.errors import LeaseLostError, RedisUnavailableError, StorageError
from services.jobs.acceptance import Idempotency
from services.jobs.record import Job, JobKind, JobState
from services.jobs.store import JobStore
from services.models.aliases import Rollout
from services.models.files import ModelStore
from services.programs.operations import Operation
from services.programs.store import ProgramStore
from services.scheduling.policy import Policy
from services.store.connection import Connection
from services.users.authentication import ADMIN
from services.users.quotas import UNLIMITED
from tests.services.samples import CHIP, PLENTY, a_holder, a_job, accept, events_of, some_crops
from tests.worker.counting import Counting
from worker.batches import Batches
from worker.checkpoints import Saves
from worker.chip import ChipSession
from worker.chip_maintenance import ChipMaintenance, MaintenanceSchedule
from worker.crash_marker import CrashMarker
from worker.long_work import LongWork
from worker.operations import Operations
from worker.scheduler_loop import SchedulerLoop
from worker.serving import LoadedVersions
from worker.shadow import Shadow
from worker.trials import Trials


@pytest.fixture
def activities() -> dict[str, Counting]:
    """The long jobs' activities by job."""
    return {}


class _Recorded(Trials):
    """Trials that record what else waits while they are read."""

    def __init__(self, jobs: JobStore, *arguments: Any) -> None:
        super().__init__(*arguments)
        self._jobs = jobs
        self.steps = 0

    def step(self) -> None:
        """Reads a few crops, while no job is unfinished."""
        assert not self._jobs.unfinished()
        self.steps += 1
        super().step()


@pytest.fixture
def with_trials() -> bool:
    """Whether the loop has trials."""
    return False


@pytest.fixture
def trials(
    lease: Lease, session: ChipSession, jobs: JobStore, tiny_model: ModelStore, connection: Connection
) -> _Recorded:
    """Trials of the second version beside the first."""
    rollout = Rollout(candidate="2", share=0.0, shadow=1.0, user="ada", since=0.0)
    tiny_model.set_alias("digits", "production", "1")
    tiny_model.alias_files.change(
        "digits", "production", lambda present: present and present.model_copy(update={"rollout": rollout})
    )
    versions = LoadedVersions(session, tiny_model)
    return _Recorded(jobs, lease, session, tiny_model, versions, SeriesStore(connection))


@pytest.fixture
def loop(
    lease: Lease,
    chips: ChipStore,
    jobs: JobStore,
    crops: CropStore,
    session: ChipSession,
    saves: Saves,
    marker: CrashMarker,
    tiny_model: ModelStore,
    connection: Connection,
    activities: dict[str, Counting],
    trials: _Recorded,
    with_trials: bool,
) -> SchedulerLoop:
    def take_up(job: Job) -> Counting:
        return activities[job.id]

    series = SeriesStore(connection)
    shadow = Shadow(lease, series, share=0.0)
    versions, tried = LoadedVersions(session, tiny_model), trials if with_trials else None
    batches = Batches(lease, session, crops, versions, shadow, batch_crops=8, trials=tried)
    maintenance = ChipMaintenance(
        lease, session, series, jobs, MaintenanceSchedule(60.0, None, recalibrate_on_drift=True)
    )
    operations = Operations(lease, session, ProgramStore(connection, keep_jobs_s=60))
    long_work = LongWork(lease, session, jobs, saves, take_up, marker, save_every_s=60)
    policy = Policy(batch_crops=8, quantum_s=0.01)
    return SchedulerLoop(
        *(lease, chips, jobs, batches, operations, long_work, maintenance, policy),
        turn_s=0.1,
        trials=tried,
    )


def _submit(jobs: JobStore, activities: dict[str, Counting], activity: Counting, user: str = "ada") -> Job:
    job = a_job(user=user)
    jobs.submit(job, Idempotency(), most=PLENTY)
    activities[job.id] = activity
    return job


def test_a_turn_without_work_ends_and_leaves_none(loop: SchedulerLoop) -> None:
    assert not loop.run()


def test_turns_do_all_that_waits(
    loop: SchedulerLoop, jobs: JobStore, crops: CropStore, activities: dict[str, Counting]
) -> None:
    long = [_submit(jobs, activities, Counting(steps=20), user) for user in ("ada", "grace", "ada")]
    asked = [
        accept(crops, [some_crops(3, n), some_crops(2, n)], lane=Lane("digits", version, user))[0]
        for n, (version, user) in enumerate([("1", "ada"), ("2", "grace"), ("1", "joan"), ("2", "ada")])
    ]

    while loop.run():
        pass

    assert {jobs.get(job.id).state for job in long + asked} == {JobState.SUCCEEDED}


def test_crops_that_come_during_long_work_go_before_its_next_step(
    loop: SchedulerLoop, jobs: JobStore, crops: CropStore, activities: dict[str, Counting]
) -> None:
    asked: list[Job] = []
    states: list[JobState] = []

    def on_step(number: int) -> None:
        if number == 100:
            asked.append(accept(crops, [some_crops(1)], lane=Lane("digits", "1", "grace"))[0])
        elif number > 100 and not states:
            states.append(jobs.get(asked[0].id).state)

    _submit(jobs, activities, Counting(steps=200, on_step=on_step))
    while loop.run():
        pass

    assert states == [JobState.SUCCEEDED]


def test_a_turn_first_runs_the_claims_of_a_dead_worker(
    loop: SchedulerLoop, jobs: JobStore, crops: CropStore, lease: Lease
) -> None:
    job, _ = accept(crops, [some_crops(1)])
    crops.claim(lease, {"digits@1:ada": 1})

    loop.run()

    assert jobs.get(job.id).state is JobState.SUCCEEDED


def test_crops_are_not_blamed_for_a_turn_that_redis_interrupted(
    loop: SchedulerLoop, jobs: JobStore, crops: CropStore, lease: Lease, activities: dict[str, Counting]
) -> None:
    asked: list[Job] = []

    def claim_and_interrupt(_: int) -> None:
        if not asked:
            asked.append(accept(crops, [some_crops(1)])[0])
            crops.claim(lease, {"digits@1:ada": 1})
            for _ in range(2):
                crops.recover(lease, after_death=True)
            raise RedisUnavailableError

    _submit(jobs, activities, Counting(steps=3, on_step=claim_and_interrupt))

    while jobs.unfinished():
        loop.run()

    assert jobs.get(asked[0].id).state is JobState.SUCCEEDED


def test_crops_are_blamed_for_the_end_of_the_worker_before(
    loop: SchedulerLoop, jobs: JobStore, crops: CropStore, lease: Lease
) -> None:
    job, _ = accept(crops, [some_crops(1)])
    crops.claim(lease, {"digits@1:ada": 1})
    for _ in range(2):
        crops.recover(lease, after_death=True)

    loop.run()

    error = jobs.get(job.id).error
    assert error is not None
    assert error["code"] == "job_crashed"


def test_a_turn_of_a_replaced_worker_does_nothing(
    loop: SchedulerLoop, chips: ChipStore, jobs: JobStore, crops: CropStore
) -> None:
    job, _ = accept(crops, [some_crops(1)])
    chips.take(CHIP, a_holder("second"), dead=a_holder())

    with pytest.raises(LeaseLostError):
        loop.run()

    assert jobs.get(job.id).state is JobState.QUEUED


def test_a_job_cancelled_in_its_slice_ends_at_its_next_step(
    loop: SchedulerLoop, jobs: JobStore, activities: dict[str, Counting]
) -> None:
    job_ids: list[str] = []

    def on_step(number: int) -> None:
        if number == 50:
            jobs.cancel(job_ids[0])

    activity = Counting(steps=1_000_000, on_step=on_step)
    job_ids.append(_submit(jobs, activities, activity).id)

    while loop.run():
        pass

    ended = jobs.get(job_ids[0])
    assert (ended.state, ended.result) == (
        JobState.CANCELLED,
        {"counted": activity.steps_done, "partial": True},
    )
    assert activity.steps_done == 51


def test_a_finished_turn_shows_when_the_worker_last_did_something(loop: SchedulerLoop) -> None:
    before = loop.last_seen

    loop.run()

    assert loop.last_seen > before


def _take_turns(loop: SchedulerLoop, until: Callable[[], bool]) -> None:
    """Takes turns until something is so, which one turn need not bring about on a busy machine."""
    for _ in range(200):
        if until():
            return
        loop.run()
    raise AssertionError("all these turns did not bring it about")


def _maintenance(running: Literal["pause", "finish"] = "pause") -> Drain:
    return Drain("new cables", running, "admin", since=1e9)


def test_in_maintenance_running_work_is_kept_and_waits_until_it_may_go_on(
    loop: SchedulerLoop, chips: ChipStore, jobs: JobStore, activities: dict[str, Counting]
) -> None:
    def on_step(number: int) -> None:
        if number == 5:
            chips.set_drain(CHIP, _maintenance())

    activity = Counting(steps=20, on_step=on_step)
    job = _submit(jobs, activities, activity)

    _take_turns(loop, lambda: activity.steps_done > 5 and jobs.get(job.id).state is JobState.QUEUED)
    paused, events = jobs.get(job.id), events_of(jobs, job.id)
    chips.set_drain(CHIP, None)
    while loop.run():
        pass

    assert (paused.state, activity.saved[0]) == (JobState.QUEUED, 6)
    assert events[-1][2]["reason"] == "the chip is in maintenance: new cables"
    assert (jobs.get(job.id).state, activity.steps_done) == (JobState.SUCCEEDED, 20)


def test_in_maintenance_running_work_may_finish_and_new_work_waits(
    loop: SchedulerLoop, chips: ChipStore, jobs: JobStore, activities: dict[str, Counting]
) -> None:
    new: list[Job] = []

    def on_step(number: int) -> None:
        if number == 5:
            chips.set_drain(CHIP, _maintenance("finish"))
            new.append(_submit(jobs, activities, Counting(steps=1), "grace"))

    job = _submit(jobs, activities, Counting(steps=20, on_step=on_step))

    _take_turns(loop, lambda: jobs.get(job.id).state is JobState.SUCCEEDED)
    loop.run()

    assert jobs.get(new[0].id).state is JobState.QUEUED


def test_in_maintenance_crops_are_read(
    loop: SchedulerLoop, chips: ChipStore, jobs: JobStore, crops: CropStore
) -> None:
    chips.set_drain(CHIP, _maintenance())
    job, _ = accept(crops, [some_crops(2)])

    _take_turns(loop, lambda: jobs.get(job.id).state is JobState.SUCCEEDED)


def test_a_cancelled_job_ends_on_a_drained_chip(
    loop: SchedulerLoop, chips: ChipStore, jobs: JobStore, activities: dict[str, Counting]
) -> None:
    def on_step(number: int) -> None:
        if number == 5:
            chips.set_drain(CHIP, _maintenance())

    activity = Counting(steps=20, on_step=on_step)
    job = _submit(jobs, activities, activity)
    _take_turns(loop, lambda: activity.steps_done > 5 and jobs.get(job.id).state is JobState.QUEUED)
    jobs.cancel(job.id)

    _take_turns(loop, lambda: jobs.get(job.id).state.is_final)

    ended = jobs.get(job.id)
    assert (ended.state, ended.result) == (JobState.CANCELLED, {"counted": 6, "partial": True})


def test_work_whose_save_the_disk_refuses_stands_still_in_maintenance(
    loop: SchedulerLoop, chips: ChipStore, jobs: JobStore, activities: dict[str, Counting]
) -> None:
    def on_step(number: int) -> None:
        if number == 5:
            activity.refusals.extend(StorageError() for _ in range(50))
            chips.set_drain(CHIP, _maintenance())

    activity = Counting(steps=20, on_step=on_step)
    job = _submit(jobs, activities, activity)

    _take_turns(loop, lambda: activity.steps_done > 5)
    loop.run()

    assert (jobs.get(job.id).state, activity.steps_done) == (JobState.RUNNING, 6)


def test_crops_bound_to_another_chip_are_left_to_it(
    loop: SchedulerLoop, jobs: JobStore, crops: CropStore
) -> None:
    here, _ = accept(crops, [some_crops(1)], lane=Lane("digits", "1", "ada", "mock"))
    elsewhere, _ = accept(crops, [some_crops(1)], lane=Lane("digits", "1", "ada", "hxother"))

    _take_turns(loop, lambda: jobs.get(here.id).state is JobState.SUCCEEDED)

    assert jobs.get(elsewhere.id).state is JobState.QUEUED


def test_a_job_bound_to_another_chip_is_left_to_it(
    loop: SchedulerLoop, jobs: JobStore, activities: dict[str, Counting]
) -> None:
    job = replace(a_job(), home="hxother")
    jobs.submit(job, Idempotency(), most=PLENTY)
    activities[job.id] = Counting(steps=1)

    loop.run()

    assert jobs.get(job.id).state is JobState.QUEUED


def test_a_training_with_the_chip_in_its_loop_is_bound_to_it_from_then_on(
    loop: SchedulerLoop, jobs: JobStore, activities: dict[str, Counting]
) -> None:
    activity = Counting(steps=1)
    activity.in_the_loop = True
    bound, free = (_submit(jobs, activities, a) for a in (activity, Counting(steps=1)))

    _take_turns(loop, lambda: jobs.get(bound.id).state.is_final and jobs.get(free.id).state.is_final)

    assert (jobs.get(bound.id).home, jobs.get(free.id).home) == ("mock", "")


def test_crops_that_a_chip_without_a_worker_had_claimed_are_taken_over(
    loop: SchedulerLoop, chips: ChipStore, jobs: JobStore, crops: CropStore
) -> None:
    loop.run()
    gone = chips.take("chip-9", a_holder("gone"))
    job, _ = accept(crops, [some_crops(1)])
    crops.claim(gone, {"digits@1:ada": 1})
    loop.run()
    before = jobs.get(job.id).state
    chips.release(gone)

    _take_turns(loop, lambda: jobs.get(job.id).state is JobState.SUCCEEDED)

    assert before is JobState.RUNNING


def test_the_time_of_operations_is_not_available_to_long_work(
    loop: SchedulerLoop, jobs: JobStore, connection: Connection, activities: dict[str, Counting]
) -> None:
    _submit(jobs, activities, Counting(steps=5))
    while loop.run():
        pass
    before = loop.programs_share
    programs = ProgramStore(connection, keep_jobs_s=60)
    session = replace(a_job(JobKind.PROGRAM), state=JobState.RUNNING, params={"chip": CHIP})
    programs.open(session, UNLIMITED)
    operation = Operation(session.id, 2, 3, bytes(2), bytes(6), "digest", 1, 5)
    programs.accept(f"{session.id}:1", "digest", operation, "", ADMIN, keep=False)

    _take_turns(loop, lambda: jobs.get(session.id).operations == 1)
    busy = loop.busy_share

    assert before == 0.0
    assert 0.0 < loop.programs_share <= busy


@pytest.mark.parametrize("with_trials", [True])
def test_candidates_read_crops_once_nothing_else_waits(
    loop: SchedulerLoop,
    trials: _Recorded,
    jobs: JobStore,
    crops: CropStore,
    activities: dict[str, Counting],
) -> None:
    for user in ("ada", "grace"):
        accept(crops, [some_crops(5)], lane=Lane("digits", "1", user))
    long = _submit(jobs, activities, Counting(steps=50))

    while loop.run():
        pass

    assert jobs.get(long.id).state is JobState.SUCCEEDED
    assert trials.steps >= 1
    assert trials.describe()["digits"]["crops"] == 10


@pytest.mark.parametrize("with_trials", [True])
def test_trials_charge_nobody(
    loop: SchedulerLoop, trials: _Recorded, crops: CropStore, connection: Connection
) -> None:
    accept(crops, [some_crops(5)], lane=Lane("digits", "1", "ada"))
    charged = []
    original = trials.step

    def step() -> None:
        charged.append(connection.client.hgetall("hx:usage:ada"))
        original()
        charged.append(connection.client.hgetall("hx:usage:ada"))

    trials.step = step  # type: ignore[method-assign] # to look before and after
    while loop.run():
        pass

    assert len(charged) >= 2
    assert charged[0] == charged[-1]
