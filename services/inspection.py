"""Looking at jobs: one, many, and what is still ahead of them."""

import base64
import binascii
import math
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from services.classification import Classifications
from services.errors import InvalidCursorError
from services.jobs import Job, JobKind, JobState
from services.scheduling import Charge, LongJob, Policy, queue_order
from services.store.jobs import JobStore
from services.store.listener import Listener

_SCAN: Final = 200


@dataclass(frozen=True, slots=True)
class Outlook:
    """What is ahead of a job: its place among those that wait, and a range of seconds until it is finished."""

    position: int | None = None
    of: int = 0
    earliest_s: float | None = None
    latest_s: float | None = None


@dataclass(frozen=True, slots=True)
class JobView:
    """A job with what is not in its record: its result, and its outlook."""

    job: Job
    result: Mapping[str, Any] | None
    outlook: Outlook


@dataclass(frozen=True, slots=True)
class Filter:
    """Which jobs to list; what is None does not matter."""

    state: JobState | None = None
    kind: JobKind | None = None
    user: str | None = None

    def admits(self, job: Job) -> bool:
        """Whether a job is one of those."""
        return (
            self.state in {None, job.state}
            and self.kind in {None, job.kind}
            and self.user in {None, job.user}
        )


@dataclass(frozen=True, slots=True)
class Page:
    """Some jobs, and where the next ones begin."""

    views: list[JobView] = field(default_factory=list)
    next_cursor: str | None = None


class Inspections:
    """The ways to look at jobs."""

    def __init__(
        self,
        jobs: JobStore,
        classifications: Classifications,
        listener: Listener,
        policy: Policy,
    ) -> None:
        self._jobs = jobs
        self._classifications = classifications
        self._listener = listener
        self._policy = policy

    def view(self, job: Job) -> JobView:
        """A job with result and outlook."""
        result = job.result
        if job.kind is JobKind.CLASSIFICATION:
            result = self._classifications.result_of(job)
        return JobView(job, result, self._outlooks([job])[job.id])

    def position(self, job: Job) -> int | None:
        """The place in the queue of a job that has one."""
        return self._outlooks([job])[job.id].position

    def wait_for_change(self, job_id: str, seen: int | None, wait_s: float) -> Job:
        """The job as soon as its revision is not `seen` (or not what it is now), at most `wait_s` later.

        Raises:
            JobNotFoundError: there is no such job.
        """
        until = time.monotonic() + wait_s
        with self._listener.watching(job_id) as changed:
            while True:
                changed.clear()
                job = self._jobs.get(job_id)
                seen = job.revision if seen is None else seen
                left_s = until - time.monotonic()
                if job.revision != seen or job.state.is_final or left_s <= 0 or self._listener.is_stopping:
                    return job
                changed.wait(left_s)

    def page(self, wanted: Filter, limit: int, cursor: str | None) -> Page:
        """The newest jobs that the filter admits, from a cursor on; records that expired are forgotten.

        Raises:
            InvalidCursorError: the cursor is not one of ours.
        """
        place = _read_cursor(cursor) if cursor else None
        found: list[Job] = []
        while len(found) <= limit:
            places = self._jobs.newest(before=place, count=_SCAN)
            if not places:
                break
            place = places[-1]
            present = {job.id: job for job in self._jobs.get_many(job_id for _, job_id in places)}
            self._jobs.forget(job_id for _, job_id in places if job_id not in present)
            found.extend(job for job in present.values() if wanted.admits(job))
        jobs = found[:limit]
        outlooks = self._outlooks(jobs)
        views = [
            JobView(job, None if job.kind is JobKind.CLASSIFICATION else job.result, outlooks[job.id])
            for job in jobs
        ]
        more = len(found) > limit
        return Page(views, _write_cursor(jobs[-1]) if more else None)

    def _outlooks(self, jobs: list[Job]) -> dict[str, Outlook]:
        outlooks = {job.id: _of_running(job) for job in jobs}
        if any(job.kind.is_long and job.state is JobState.QUEUED for job in jobs):
            unfinished = self._jobs.unfinished()
            charged = {user: Charge(seconds, at) for user, (seconds, at) in self._jobs.charged().items()}
            order = queue_order(
                [LongJob(job.id, job.user, job.created_at, job.kind.is_care) for job in unfinished],
                charged,
                time.time(),
                self._policy,
            )
            queued = {job.id for job in unfinished if job.state is JobState.QUEUED}
            for job in jobs:
                if job.id in queued:
                    outlooks[job.id] = Outlook(position=order.index(job.id) + 1, of=len(order))
        return outlooks


def _of_running(job: Job) -> Outlook:
    """An outlook from the job's own pace, once it has one."""
    if job.state is not JobState.RUNNING or job.started_at is None or not 0.01 < job.progress < 1:
        return Outlook()
    elapsed_s = (job.updated_at or job.started_at) - job.started_at
    left_s = elapsed_s * (1 - job.progress) / job.progress
    return Outlook(earliest_s=0.8 * left_s, latest_s=1.5 * left_s)


def _write_cursor(job: Job) -> str:
    return base64.urlsafe_b64encode(f"{job.created_at:.6f} {job.id}".encode()).decode()


def _read_cursor(cursor: str) -> tuple[float, str]:
    try:
        at, job_id = base64.urlsafe_b64decode(cursor.encode()).decode().split(" ")
        place = float(at), job_id
    except (ValueError, binascii.Error):
        raise InvalidCursorError from None
    if not math.isfinite(place[0]):
        raise InvalidCursorError
    return place
