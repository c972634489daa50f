"""Inspection of jobs: one, many, and their outlook."""

import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from services.crops.classification import Classifications
from services.crops.listener import Listener
from services.cursors import read_cursor, write_cursor
from services.jobs.record import Job, JobKind, JobState
from services.jobs.store import JobStore
from services.jobs.submission import job_for
from services.jobs.subscriptions import Subscriptions
from services.programs.store import ProgramStore
from services.programs.turns import position_of
from services.scheduling.waiting import Outlook, Waiting
from services.users.authentication import User

_SCAN: Final = 200


@dataclass(frozen=True, slots=True)
class JobView:
    """A job with its result and its outlook, which are not in its record."""

    job: Job
    result: Mapping[str, Any] | None
    outlook: Outlook


@dataclass(frozen=True, slots=True)
class Filter:
    """A filter of jobs; a field that is None admits all."""

    state: JobState | None = None
    kind: JobKind | None = None
    user: str | None = None

    def admits(self, job: Job) -> bool:
        """Return whether a job passes this filter."""
        return (
            self.state in {None, job.state}
            and self.kind in {None, job.kind}
            and self.user in {None, job.user}
        )


@dataclass(frozen=True, slots=True)
class Page:
    """Some jobs, and the cursor of the next ones."""

    views: list[JobView] = field(default_factory=list)
    next_cursor: str | None = None


class Inspections:
    """Inspection of jobs for a user."""

    def __init__(
        self,
        jobs: JobStore,
        classifications: Classifications,
        listener: Listener,
        waiting: Waiting,
        programs: ProgramStore,
        subscriptions: Subscriptions,
    ) -> None:
        self._jobs = jobs
        self._classifications = classifications
        self._listener = listener
        self._waiting = waiting
        self._programs = programs
        self._subscriptions = subscriptions

    def job(self, job_id: str, viewer: User) -> Job:
        """Return the record of one job.

        Raises:
            JobNotFoundError: there is none of this id that the viewer may see.
        """
        return job_for(self._jobs, job_id, viewer)

    def view(self, job: Job) -> JobView:
        """Return a job with result and outlook."""
        if job.kind is JobKind.CLASSIFICATION:
            return JobView(job, self._classifications.result_of(job), self._waiting.outlook(job))
        return self._listed(job)

    def _listed(self, job: Job) -> JobView:
        """Return a job with its outlook and the result that is in its record."""
        result = job.result
        if job.kind is JobKind.CLASSIFICATION:
            result = None
        if job.kind is JobKind.PROGRAM:
            result = {"operations": job.operations, **self._turn(job)}
        return JobView(job, result, self._waiting.outlook(job))

    def _turn(self, job: Job) -> dict[str, int | None]:
        """Return what waits of a running program, and how many operations go before its next one."""
        if job.state.is_final:
            return {}
        waiting = self._programs.waiting(job.params["chip"])
        own = sum(session == job.id for session, _, _ in waiting.values())
        return {"waiting": own, "position": position_of(waiting, job.id)}

    def position(self, job: Job) -> int | None:
        """Return a job's position in the queue, if it has one."""
        if job.state is not JobState.QUEUED:
            return None
        return self._waiting.outlook(job).position

    def wait_for_change(self, known: Job, wait_s: float) -> Job:
        """Return the job once it differs from `known`, after at most `wait_s`.

        Of many requests that wait, progress alone wakes a limited number per second (`services/jobs/subscriptions.py`).

        Raises:
            JobNotFoundError: there is no such job.
        """
        until = time.monotonic() + wait_s
        with self._subscriptions.subscribe(known.id) as subscription:
            while True:
                job = subscription.job
                left_s = until - time.monotonic()
                if job.revision > known.revision or subscription.is_gone:
                    return job
                if known.state.is_final or left_s <= 0 or self._listener.is_stopping:
                    return known
                subscription.wait(left_s)

    def page(self, wanted: Filter, limit: int, cursor: str | None, viewer: User) -> Page:
        """Return the newest jobs that the filter admits and the viewer may see, from a cursor on.

        Records that expired are forgotten.

        Raises:
            InvalidCursorError: the cursor is not one of ours.
        """
        owner = wanted.user if viewer.is_admin else viewer.name
        place = read_cursor(cursor) if cursor else None
        found: list[Job] = []
        while len(found) <= limit:
            places = self._jobs.newest(before=place, count=_SCAN, user=owner)
            if not places:
                break
            place = places[-1]
            present = {job.id: job for job in self._jobs.get_many(job_id for _, job_id in places)}
            self._jobs.forget((job_id for _, job_id in places if job_id not in present), owner)
            found.extend(job for job in present.values() if wanted.admits(job))
        jobs = found[:limit]
        more = len(found) > limit
        next_cursor = write_cursor((jobs[-1].created_at, jobs[-1].id)) if more else None
        return Page([self._listed(job) for job in jobs], next_cursor)
