"""What a worker finds when it starts: jobs that go on, and the one that killed its worker."""

from pathlib import Path
from typing import Any

import pytest

from services.chips.store import ChipStore, Lease
from services.jobs.acceptance import Idempotency
from services.jobs.record import Job, JobState
from services.jobs.store import JobStore
from tests.services.samples import CHIP, PLENTY, a_holder, a_job
from worker.checkpoints import Saves
from worker.crash_marker import CrashMarker
from worker.learning.training_state import TrainerState
from worker.recovery import marker_of, recover_jobs, take_over_jobs


def _running(jobs: JobStore, lease: Lease, chip: str = CHIP, **fields: Any) -> Job:
    job = a_job()
    jobs.submit(job, Idempotency(), most=PLENTY)
    _take_up(jobs, lease, job, chip, **fields)
    return job


def _take_up(jobs: JobStore, lease: Lease, job: Job, chip: str = CHIP, **fields: Any) -> None:
    event = {"type": "state", "state": "running"}
    fields = {"state": JobState.RUNNING, "provenance": {"chip": chip}} | fields
    jobs.change(job, lease=lease, allowed=(JobState.QUEUED,), event=event, **fields)


def _die_in(marker: CrashMarker, job: Job) -> None:
    """A worker that ends without a word in the middle of a job's slice leaves its marker."""
    marker._write(job.id)


def test_an_abandoned_job_waits_again(
    jobs: JobStore, lease: Lease, saves: Saves, marker: CrashMarker
) -> None:
    job = _running(jobs, lease)

    recover_jobs(lease, jobs, saves, marker)

    assert (jobs.get(job.id).state, jobs.get(job.id).deaths) == (JobState.QUEUED, 0)


def test_queued_jobs_and_those_of_other_chips_are_left_alone(
    jobs: JobStore, lease: Lease, saves: Saves, marker: CrashMarker
) -> None:
    queued = a_job()
    jobs.submit(queued, Idempotency(), most=PLENTY)
    elsewhere = _running(jobs, lease, chip="chip-2")
    before = [jobs.get(queued.id), jobs.get(elsewhere.id)]

    recover_jobs(lease, jobs, saves, marker)

    assert [jobs.get(queued.id), jobs.get(elsewhere.id)] == before


def test_saves_of_jobs_that_have_ended_are_deleted_and_others_kept(
    jobs: JobStore, lease: Lease, saves: Saves, marker: CrashMarker
) -> None:
    ours, elsewhere, cancelled = _running(jobs, lease), _running(jobs, lease, chip="chip-2"), a_job()
    jobs.submit(cancelled, Idempotency(), most=PLENTY)
    for job_id in (ours.id, elsewhere.id, cancelled.id, "expired"):
        saves.write(job_id, TrainerState({}, {"step_count": 3}))
    jobs.cancel(cancelled.id)

    recover_jobs(lease, jobs, saves, marker)

    assert saves.job_ids() == {ours.id, elsewhere.id}


def test_only_the_job_in_its_slice_is_blamed(
    jobs: JobStore, lease: Lease, saves: Saves, marker: CrashMarker
) -> None:
    suspect, other = _running(jobs, lease), _running(jobs, lease)
    _die_in(marker, suspect)

    recover_jobs(lease, jobs, saves, marker)

    assert (jobs.get(suspect.id).deaths, jobs.get(other.id).deaths) == (1, 0)


def test_a_job_that_killed_its_worker_three_times_is_set_aside(
    jobs: JobStore, lease: Lease, saves: Saves, marker: CrashMarker
) -> None:
    job = _running(jobs, lease)
    for _ in range(2):
        _die_in(marker, job)
        recover_jobs(lease, jobs, saves, marker)
        _take_up(jobs, lease, job)
    _die_in(marker, job)

    recover_jobs(lease, jobs, saves, marker)

    ended = jobs.get(job.id)
    assert (ended.state, ended.deaths) == (JobState.FAILED, 3)
    assert ended.error is not None
    assert ended.error["code"] == "job_crashed"


def test_a_job_that_kills_its_worker_while_it_is_taken_up_is_set_aside_too(
    jobs: JobStore, lease: Lease, saves: Saves, marker: CrashMarker
) -> None:
    job = a_job()
    jobs.submit(job, Idempotency(), most=PLENTY)

    for _ in range(3):
        _die_in(marker, job)
        recover_jobs(lease, jobs, saves, marker)

    assert jobs.get(job.id).state is JobState.FAILED


def test_deaths_are_counted_anew_when_the_job_got_further(
    jobs: JobStore, lease: Lease, saves: Saves, marker: CrashMarker
) -> None:
    job = _running(jobs, lease)
    for step in range(5):
        saves.write(job.id, TrainerState({}, {"step_count": step}))
        _die_in(marker, job)
        recover_jobs(lease, jobs, saves, marker)
        _take_up(jobs, lease, job)

    assert (jobs.get(job.id).state, jobs.get(job.id).deaths) == (JobState.RUNNING, 1)


def test_a_job_is_blamed_for_a_death_once(
    jobs: JobStore, lease: Lease, saves: Saves, marker: CrashMarker
) -> None:
    job = _running(jobs, lease)
    _die_in(marker, job)

    for _ in range(4):
        recover_jobs(lease, jobs, saves, marker)

    assert (jobs.get(job.id).state, jobs.get(job.id).deaths) == (JobState.QUEUED, 1)


def test_the_marker_names_the_job_only_while_it_runs(marker: CrashMarker) -> None:
    with marker.marking("job"):
        during = marker.read()

    assert (during, marker.read()) == ("job", "")


def test_the_marker_is_cleared_when_a_slice_raises(marker: CrashMarker) -> None:
    with pytest.raises(RuntimeError), marker.marking("job"):
        raise RuntimeError

    assert marker.read() == ""


@pytest.mark.parametrize("content", [b"", b"\xff\xfe", b"\x00"])
def test_an_unreadable_marker_suspects_no_job_and_stops_nothing(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "marker"
    path.write_bytes(content)

    assert CrashMarker(path).read() not in {"job"}


def test_a_mark_that_cannot_be_written_does_not_stop_the_work(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    marker = CrashMarker(tmp_path / "file" / "marker")

    with marker.marking("job"):
        assert marker.read() == ""


def test_the_jobs_of_a_chip_without_a_worker_wait_again_and_its_own_mark_tells_whom_to_blame(
    jobs: JobStore, lease: Lease, chips: ChipStore, saves: Saves
) -> None:
    gone = chips.take("chip-2", a_holder("gone"))
    suspect, other = (_running(jobs, gone, chip="chip-2") for _ in range(2))
    ours = _running(jobs, lease)
    _die_in(marker_of(saves, "chip-2"), suspect)
    chips.release(gone)

    for _ in range(2):
        take_over_jobs(lease, jobs, saves, "chip-2")

    found = {job.id: jobs.get(job.id) for job in (suspect, other, ours)}
    assert {job_id: job.state for job_id, job in found.items()} == {
        suspect.id: JobState.QUEUED,
        other.id: JobState.QUEUED,
        ours.id: JobState.RUNNING,
    }
    assert (found[suspect.id].deaths, found[other.id].deaths) == (1, 0)


def test_the_jobs_of_a_chip_whose_worker_came_back_are_left_to_it(
    jobs: JobStore, lease: Lease, chips: ChipStore, saves: Saves
) -> None:
    job = _running(jobs, chips.take("chip-2", a_holder("back")), chip="chip-2")

    take_over_jobs(lease, jobs, saves, "chip-2")

    assert jobs.get(job.id).state is JobState.RUNNING
