"""Recovery of jobs whose worker died."""

import logging
from typing import Final

from services.chips.store import Lease
from services.crops.answers import problem_of
from services.errors import InvalidTransitionError, JobCrashedError, JobNotFoundError
from services.jobs.record import Job, JobState
from services.jobs.store import JobStore
from services.logs import about, log_end
from worker.checkpoints import Saves
from worker.crash_marker import CrashMarker

MOST_DEATHS: Final = 3
_log = logging.getLogger(__name__)


def take_over_jobs(lease: Lease, jobs: JobStore, saves: Saves, chip: str) -> None:
    """Requeue the jobs of a chip without a worker, for any chip that may continue them.

    Raises:
        LeaseLostError: the worker no longer holds its own chip.
    """
    try:
        recover_jobs(lease, jobs, saves, marker_of(saves, chip), chip)
    except (InvalidTransitionError, JobNotFoundError) as change:
        _log.info("chip %s: another worker recovers its jobs: %s", chip, change.message)


def marker_of(saves: Saves, chip: str) -> CrashMarker:
    """Return the marker of a chip's worker, beside the saves."""
    return CrashMarker(saves.folder / f"{chip}.executing")


def recover_jobs(
    lease: Lease, jobs: JobStore, saves: Saves, marker: CrashMarker, chip: str | None = None
) -> None:
    """Requeue abandoned jobs, which continue from their last save; delete saves of jobs that have ended.

    The job in whose slice the worker died is suspect, also if it was only being taken up: when
    that happens three times without getting further, it is set aside as failed.

    The jobs are those of `chip`, the lease's own if None; `marker` is that of the worker that died.

    Raises:
        LeaseLostError: the worker no longer holds the chip.
    """
    chip = chip or lease.chip
    suspect = marker.read()
    kept = saves.job_ids()
    unfinished = jobs.unfinished()
    for job_id in kept - {job.id for job in unfinished}:
        with about(job=job_id):
            _log.info("the save of job %s is not needed any more", job_id)
        saves.delete(job_id)
    for job in unfinished:
        was_ours = job.state is JobState.RUNNING and job.provenance.get("chip") == chip
        is_elsewhere = job.state is JobState.RUNNING and not was_ours
        if is_elsewhere or (not was_ours and job.id != suspect):
            continue
        step = saves.step_of(job.id)
        deaths, died_at_step = job.deaths, job.died_at_step
        if job.id == suspect:
            deaths = 1 if step > job.died_at_step else job.deaths + 1
            died_at_step = step
        if deaths >= MOST_DEATHS:
            _set_aside(lease, jobs, job, deaths)
        else:
            jobs.change(
                job,
                lease=lease,
                allowed=(job.state,),
                event={"type": "state", "state": JobState.QUEUED, "reason": "its worker ended", "step": step},
                state=JobState.QUEUED,
                deaths=deaths,
                died_at_step=died_at_step,
            )
            with about(job=job.id, user=job.user):
                _log.warning("job %s was left by its worker, it goes on from step %d", job.id, max(step, 0))
    marker.clear()


def _set_aside(lease: Lease, jobs: JobStore, job: Job, deaths: int) -> None:
    problem = problem_of(
        JobCrashedError(
            f"the job ended its worker process {deaths} times without getting further and was set aside; "
            "try a smaller network or batch"
        )
    )
    jobs.change(
        job,
        lease=lease,
        allowed=(job.state,),
        event={"type": "state", "state": JobState.FAILED},
        state=JobState.FAILED,
        error=problem,
        deaths=deaths,
    )
    log_end(job, JobState.FAILED, problem)
