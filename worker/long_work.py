"""Running long jobs in slices."""

import logging
import time
from collections.abc import Callable, Iterable
from typing import Any, Final

from services.chips.store import Drain, Lease
from services.crops.answers import problem_of
from services.errors import (
    ChipError,
    HxserveError,
    InvalidTransitionError,
    JobNotFoundError,
    LeaseLostError,
    RedisUnavailableError,
    StorageError,
)
from services.jobs.record import Job, JobState
from services.jobs.store import JobStore
from services.logs import about, log_end
from worker.activities import Activity
from worker.checkpoints import Saves
from worker.chip import ChipSession
from worker.cost_measurement import CostMeter, Measurement
from worker.crash_marker import CrashMarker
from worker.time_accounting import TimeAccount
from worker.work_traces import JobTraces

RECORD_EVERY_S: Final = 0.5
_FIRST_SAVE_S: Final = 0.1
_REST_S: Final = 2.0
_MOST_CHIP_FAILURES: Final = 5
_UNFINISHED: Final = (JobState.QUEUED, JobState.RUNNING)
_ENDED_ELSEWHERE: Final = (InvalidTransitionError, JobNotFoundError)
_log = logging.getLogger(__name__)


class _Running:
    """A job taken up by this process, with its unrecorded work."""

    def __init__(self, job: Job, activity: Activity, now: float) -> None:
        self.job = job
        self.activity = activity
        self.unrecorded_s = 0.0
        self.recorded_at = now
        self.save_at = now + _FIRST_SAVE_S
        self.measurement = Measurement()
        self.fixed_s = 0.0


class LongWork:
    """Takes up long jobs, runs them slice by slice, and records their progress."""

    def __init__(
        self,
        lease: Lease,
        session: ChipSession,
        jobs: JobStore,
        saves: Saves,
        take_up: Callable[[Job], Activity],
        marker: CrashMarker,
        *,
        save_every_s: float,
        meter: CostMeter | None = None,
        account: TimeAccount | None = None,
    ) -> None:
        self._lease = lease
        self._session = session
        self._jobs = jobs
        self._saves = saves
        self._take_up = take_up
        self._marker = marker
        self._save_every_s = save_every_s
        self._meter = meter
        self._account = account or TimeAccount()
        self._running: dict[str, _Running] = {}
        self._traces = JobTraces()
        self._worked_s = 0.0
        self._resting: dict[str, float] = {}
        self._chip_failures: dict[str, int] = {}

    def may_run(self, job: Job, drain: Drain | None = None) -> bool:
        """Return whether a job may run here: it is for this chip, and neither a drain nor a failed save blocks it.

        Under a drain, jobs that are being cancelled still end, and running ones may finish.
        """
        wanted = job.provenance.get("chip") if job.state is JobState.RUNNING else job.params.get("chip")
        elsewhere = wanted not in {None, self._session.chip} or job.home not in {"", self._session.identifier}
        finishes = drain is None or (drain.running == "finish" and job.state is JobState.RUNNING)
        held_up = not (finishes or job.cancel_requested)
        return not (elsewhere or held_up) and self._resting.get(job.id, 0.0) <= time.monotonic()

    def put_back(self, jobs: Iterable[Job], why: str) -> None:
        """Save this chip's running jobs and put them back into the queue, for any chip that may continue them.

        Raises:
            LeaseLostError: the worker no longer holds the chip.
            RedisUnavailableError: nothing can be recorded.
        """
        for job in jobs:
            ours = job.state is JobState.RUNNING and job.provenance.get("chip") == self._session.chip
            if not ours or job.cancel_requested:
                continue
            with about(job=job.id, user=job.user):
                self._put_back(job, f"the chip is in maintenance{why and ': '}{why}")

    def _put_back(self, job: Job, reason: str) -> None:
        running = self._running.get(job.id)
        try:
            if running:
                running.activity.save()
                self._saves.flush(job.id)
            event = {"type": "state", "state": JobState.QUEUED, "reason": reason}
            self._record(job, event, allowed=(JobState.RUNNING,), state=JobState.QUEUED)
            self._forget(job.id)
            _log.info("job %s waits: %s", job.id, reason)
        except StorageError:
            # The job also stays in memory, paused.
            _log.exception("job %s: not saved", job.id)
        except _ENDED_ELSEWHERE:
            self._forget(job.id)

    def unrecorded_s(self, user: str) -> float:
        """Return a user's chip time that is not recorded yet."""
        return sum(r.unrecorded_s for r in self._running.values() if r.job.user == user)

    def run_slice(
        self, job: Job, quantum_s: float, yields_after_s: float, crops_wait: Callable[[], bool]
    ) -> float:
        """Work on a job until the quantum is used up, crops wait, or it is done; return the seconds of work.

        From `yields_after_s` on the job gives way to crops: `crops_wait` is asked after each mini-batch.

        Raises:
            LeaseLostError: the worker no longer holds the chip.
            RedisUnavailableError: nothing can be recorded; the job goes on from where it is.
        """
        worked_before_s = self._worked_s
        with about(job=job.id, user=job.user), self._traces.working_on(job):
            try:
                self._try_slice(job, quantum_s, yields_after_s, crops_wait)
            except _ENDED_ELSEWHERE as change:
                _log.info("job %s was ended elsewhere: %s", job.id, change.message)
                self._forget(job.id)
        return self._worked_s - worked_before_s

    def _try_slice(
        self, job: Job, quantum_s: float, yields_after_s: float, crops_wait: Callable[[], bool]
    ) -> None:
        """Run a slice, and record its failure if it fails."""
        try:
            with self._marker.marking(job.id):
                if job.cancel_requested:
                    self._cancel(job)
                    return
                running = self._running.get(job.id) or self._begin(job)
                running.job = job
                self._work(running, quantum_s, yields_after_s, crops_wait)
                self._chip_failures.pop(job.id, None)
                self._settle(running)
        except (LeaseLostError, RedisUnavailableError, *_ENDED_ELSEWHERE):
            raise
        except StorageError as error:
            _log.exception("job %s waits for the disk", job.id)
            self._rest(job, "storage_failed", error)
        except ChipError as error:
            _log.exception("job %s: the chip failed", job.id)
            self._after_chip_failure(job, error)
        except Exception as error:  # noqa: BLE001 the one place where a failing job is recorded
            problem = (
                error if isinstance(error, HxserveError) else HxserveError(f"{type(error).__name__}: {error}")
            )
            self._end(job, JobState.FAILED, cause=error, error=problem_of(problem))

    def _after_chip_failure(self, job: Job, error: ChipError) -> None:
        """Requeue a job from its last save with a delay, a limited number of times in a row."""
        failures = self._chip_failures.get(job.id, 0) + 1
        if not error.retryable or failures >= _MOST_CHIP_FAILURES:
            self._end(job, JobState.FAILED, error=problem_of(error))
            return
        self._chip_failures[job.id] = failures
        self._rest(job, "chip_failed", error)
        # The failure came in the middle of a step: the state in memory may be inconsistent.
        self._running.pop(job.id, None)

    def _rest(self, job: Job, event: str, error: HxserveError) -> None:
        self._resting[job.id] = time.monotonic() + (error.retry_after_s or _REST_S)
        self._record(job, {"type": event, "problem": problem_of(error)})

    def save_all(self) -> None:
        """Save every job before the process ends, unless another worker has taken them over."""
        try:
            for job_id, running in self._running.items():
                with about(job=job_id, user=running.job.user):
                    self._save(running, job_id)
        except LeaseLostError as error:
            _log.warning("nothing is saved: %s", error.message)
        self._traces.end_all()

    def _save(self, running: _Running, job_id: str) -> None:
        try:
            self._jobs.confirm(self._lease)
        except RedisUnavailableError as error:
            _log.warning("job %s is saved without asking for the lease: %s", job_id, error.message)
        try:
            running.activity.save()
            self._saves.flush(job_id)
        except StorageError:
            _log.exception("job %s: not saved", job_id)

    def _begin(self, job: Job) -> _Running:
        began = time.monotonic()
        with self._account.doing("taking_up"):
            activity = self._take_up(job)
        provenance = {"chip": self._session.chip, **self._session.describe()}
        fields: dict[str, Any] = {"attempts": job.attempts + 1, "provenance": provenance}
        if job.started_at is None:
            fields["started_at"] = time.time()
        if activity.in_the_loop:
            fields["home"] = self._session.identifier
        self._record(
            job,
            {"type": "state", "state": JobState.RUNNING, "step": activity.steps_done},
            # Another chip's worker may have taken up the queued job first.
            allowed=(job.state,),
            state=JobState.RUNNING,
            metrics=activity.metrics(),
            **fields,
        )
        _log.info("job %s: taken up at step %d", job.id, activity.steps_done)
        running = self._running[job.id] = _Running(job, activity, time.monotonic())
        running.fixed_s = time.monotonic() - began
        return running

    def _work(
        self, running: _Running, quantum_s: float, yields_after_s: float, crops_wait: Callable[[], bool]
    ) -> None:
        started = now = looked_at = time.monotonic()
        try:
            while not running.activity.finished:
                execution, before, done = running.activity.execution, now, running.activity.steps_done
                with self._account.doing("care" if running.job.kind.is_maintenance else "chip"):
                    running.activity.step()
                now = time.monotonic()
                running.measurement.add(execution, running.activity.steps_done - done, now - before)
                used_s = now - started
                if used_s >= quantum_s:
                    break
                if used_s >= yields_after_s and now - looked_at >= running.activity.looks_every_s:
                    if crops_wait():
                        break
                    looked_at = now
        finally:
            running.unrecorded_s += now - started
            self._worked_s += now - started

    def _settle(self, running: _Running) -> None:
        job, activity, now = running.job, running.activity, time.monotonic()
        if activity.finished:
            self._jobs.confirm(self._lease)
            with self._account.doing("saves"):
                result = activity.complete()
            self._end(job, JobState.SUCCEEDED, result=result, progress=1.0, metrics=activity.metrics())
            running.fixed_s += time.monotonic() - now
            self._measure(running)
            return
        if now >= running.save_at:
            self._jobs.confirm(self._lease)
            with self._account.doing("saves"):
                activity.save()
            running.save_at = now + self._save_every_s
        if now - running.recorded_at >= RECORD_EVERY_S:
            progress = activity.steps_done / activity.steps_total
            metrics = activity.metrics()
            self._record(
                job,
                {"type": "progress", "progress": progress, "metrics": metrics},
                progress=progress,
                metrics=metrics,
            )
            self._measure(running)
        running.measurement.upkeep_s += time.monotonic() - now

    def _measure(self, running: _Running) -> None:
        """Pass the work since the last call to the meter."""
        if self._meter is None:
            return
        measurement, running.measurement = running.measurement, Measurement()
        workload = self._meter.plan(running.job)
        self._meter.note(workload, measurement)
        if running.activity.finished:
            self._meter.note_fixed(workload, running.fixed_s)

    def _cancel(self, job: Job) -> None:
        running = self._running.get(job.id) or (self._begin(job) if job.started_at else None)
        self._jobs.confirm(self._lease)
        part = running.activity.keep_part() if running else None
        self._end(job, JobState.CANCELLED, result=part)

    def _end(self, job: Job, state: JobState, *, cause: Exception | None = None, **fields: Any) -> None:
        event = {"type": "state", "state": state}
        self._record(job, event, state=state, **fields)
        log_end(job, state, fields.get("error"), cause)
        self._traces.end(job.id, state)
        self._forget(job.id)
        self._saves.delete(job.id)

    def _record(
        self,
        job: Job,
        event: dict[str, Any],
        *,
        allowed: tuple[JobState, ...] = _UNFINISHED,
        **fields: Any,
    ) -> None:
        running = self._running.get(job.id)
        charged_s = running.unrecorded_s if running else 0.0
        with self._account.doing("records"):
            self._jobs.change(
                job, lease=self._lease, allowed=allowed, event=event, charged_s=charged_s, **fields
            )
        if running:
            running.unrecorded_s = 0.0
            running.recorded_at = time.monotonic()

    def _forget(self, job_id: str) -> None:
        self._traces.end(job_id)
        self._running.pop(job_id, None)
        self._resting.pop(job_id, None)
        self._chip_failures.pop(job_id, None)
