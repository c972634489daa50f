"""Job records in Redis."""

import json
from collections.abc import Iterable, Mapping
from typing import Any

import msgpack

from services.chips.store import Lease
from services.crops.answers import Answer, problem_of
from services.errors import (
    InvalidTransitionError,
    JobCancelledError,
    JobNotFoundError,
)
from services.jobs.acceptance import KEEP_KEYS_S, Accepted, Idempotency, limit, refusal
from services.jobs.record import Job, JobState, flat_fields, record_fields, states_before, to_hash
from services.jobs.usage import read_charge
from services.scheduling.policy import CREDIT_S, HALF_LIFE_S, Charge
from services.store import keys
from services.store.connection import Connection
from services.users.quotas import UNLIMITED, Quotas


def job_not_found(job_id: str) -> JobNotFoundError:
    """Return the error for a job that does not exist or is hidden from the user."""
    return JobNotFoundError(f"there is no job {job_id!r}; it may have expired")


class JobStore:
    """Reads and writes job records; every change is one atomic step and an event."""

    def __init__(self, connection: Connection, *, keep_jobs_s: float) -> None:
        self._connection = connection
        self._keep_s = int(keep_jobs_s)

    def submit(
        self, job: Job, idempotency: Idempotency, *, most: int, quotas: Quotas = UNLIMITED
    ) -> Accepted:
        """Record a long job.

        Raises:
            IdempotencyConflictError: the key was used for another request.
            QueueFullError: `most` jobs are unfinished.
            QuotaExceededError: its user's are too many, or have used the chip too long today.
        """
        answer = self._connection.run(
            "jobs/submit_job",
            job.id,
            job.user,
            idempotency.key,
            idempotency.digest,
            KEEP_KEYS_S,
            most,
            limit(quotas.max_queued_jobs),
            limit(quotas.chip_seconds_per_day),
            HALF_LIFE_S,
            CREDIT_S,
            *flat_fields(record_fields(job)),
        )
        match answer[0]:
            case b"new":
                return Accepted(answer[1].decode(), tuple(chip.decode() for chip in answer[2]))
            case b"same":
                return Accepted(answer[1].decode(), repeated=True)
        raise refusal(answer, most, "jobs", quotas)

    def get(self, job_id: str) -> Job:
        """Return the record of one job.

        Raises:
            JobNotFoundError: there is none of this id.
        """
        found = self.get_many([job_id]) if _is_id(job_id) else []
        if not found:
            raise job_not_found(job_id)
        return found[0]

    def get_with_place(self, job_id: str) -> tuple[Job, str]:
        """Return a job, and the id of its newest event that the record certainly includes; "0" without events.

        Raises:
            JobNotFoundError: there is none of this id.
        """
        with self._connection.client.pipeline(transaction=False) as pipeline:
            pipeline.xrevrange(keys.events_key(job_id), count=1)
            pipeline.hgetall(keys.job_key(job_id))
            newest, stored = pipeline.execute() if _is_id(job_id) else ([], {})
        return _existing(job_id, stored), newest[0][0].decode() if newest else "0"

    def get_with_events(self, job_id: str, *, after: str) -> tuple[Job, list[tuple[str, bytes, bytes]]]:
        """Return a job, and its events after this one as stored: id, time and JSON object.

        The events include all that the record reflects, perhaps later ones too.

        Raises:
            JobNotFoundError: there is none of this id.
        """
        with self._connection.client.pipeline(transaction=False) as pipeline:
            pipeline.hgetall(keys.job_key(job_id))
            pipeline.xrange(keys.events_key(job_id), min=f"({after}")
            stored, events = pipeline.execute()
        return _existing(job_id, stored), [
            (event_id.decode(), entry[b"at"], entry[b"event"]) for event_id, entry in events
        ]

    def get_many(self, job_ids: Iterable[str]) -> list[Job]:
        """Return the jobs that exist, in the order of the ids."""
        with self._connection.client.pipeline(transaction=False) as pipeline:
            for job_id in job_ids:
                pipeline.hgetall(keys.job_key(job_id))
            return [Job.from_hash(stored) for stored in pipeline.execute() if b"kind" in stored]

    def newest(
        self, *, before: tuple[float, str] | None, count: int, user: str | None = None
    ) -> list[tuple[float, str]]:
        """Return ids of jobs (of one user) with their creation times, newest first, those after the place `before`."""
        found: Any = self._connection.client.zrange(
            _list_of(user),
            f"{before[0]:.6f}" if before else "+inf",
            "-inf",
            desc=True,
            byscore=True,
            withscores=True,
            offset=0,
            num=count + 1,
        )
        places = [(at, job_id.decode()) for job_id, at in found]
        return [place for place in places if before is None or place < before][:count]

    def forget(self, job_ids: Iterable[str], user: str | None = None) -> None:
        """Remove jobs whose records have expired from the list (of one user)."""
        ids = list(job_ids)
        if ids:
            self._connection.client.zrem(_list_of(user), *ids)

    def unfinished(self) -> list[Job]:
        """Return all long jobs that are queued or running."""
        return self.get_many(self.unfinished_ids())

    def unfinished_ids(self) -> list[str]:
        """Return the ids of all long jobs that are queued or running."""
        ids: Any = self._connection.client.smembers(keys.LONG)
        return [job_id.decode() for job_id in ids]

    def long_revision(self) -> int:
        """Return a number that changes whenever a long job is submitted, begins, is cancelled or ends."""
        stored: Any = self._connection.client.get(keys.LONG_REVISION)
        return int(stored or 0)

    def change(
        self,
        job: Job,
        *,
        lease: Lease | None,
        allowed: Iterable[JobState],
        event: Mapping[str, Any],
        charged_s: float = 0.0,
        **fields: Any,
    ) -> None:
        """Change fields of a job in an allowed state, and charge its user.

        A new `state` is written only from where the table lets it be reached, or over itself: a worker whose
        first try was stored but not answered tries again.

        Raises:
            InvalidTransitionError: it is in another state.
            JobNotFoundError: it is gone.
            LeaseLostError: the worker no longer holds the chip.
        """
        if "state" in fields:
            allowed = {*states_before(fields["state"]), fields["state"]}.intersection(allowed)
        answer: bytes = self._connection.run(
            "jobs/change_job",
            lease.chip if lease else "",
            lease.fence if lease else "",
            job.id,
            ",".join(json.dumps(state) for state in allowed),
            json.dumps(event),
            self._keep_s,
            HALF_LIFE_S,
            job.kind,
            job.user,
            charged_s,
            *flat_fields(to_hash(fields)),
        )
        match answer:
            case b"done":
                return
            case b"missing":
                raise job_not_found(job.id)
            case b"elsewhere":
                raise InvalidTransitionError(f"job {job.id} runs on another chip")
            case state:
                raise InvalidTransitionError(f"job {job.id} is {json.loads(state)}")

    def confirm(self, lease: Lease) -> None:
        """Raise unless the worker holds its lease; a check before files are written, which have no fencing.

        Raises:
            LeaseLostError: the worker no longer holds the chip.
        """
        self._connection.run("chips/confirm_lease", lease.chip, lease.fence)

    def cancel(self, job_id: str) -> tuple[bool, tuple[str, ...]]:
        """Cancel a job, or request that of its worker; a finished one stays as it is.

        Returns:
            Whether this step ended it, and the chips to wake.

        Raises:
            JobNotFoundError: there is none of this id.
        """
        if not _is_id(job_id):
            raise job_not_found(job_id)
        answer = msgpack.packb([(job_id, 0, Answer(problem=problem_of(JobCancelledError())).pack())])
        found, asleep = self._connection.run("jobs/cancel_job", job_id, self._keep_s, answer)
        if found == b"missing":
            raise job_not_found(job_id)
        return found == b"ended", tuple(chip.decode() for chip in asleep)

    def results(self, job_id: str) -> dict[int, bytes]:
        """Return the stored answers of a classification, by part."""
        found: Any = self._connection.client.hgetall(keys.results_key(job_id))
        return {int(part): answer for part, answer in found.items()}

    def charged(self) -> dict[str, Charge]:
        """Return the recent charge of each user."""
        stored: Any = self._connection.client.hgetall(keys.CHARGED)
        return {user.decode(): read_charge(text) for user, text in stored.items()}

    def newest_change(self) -> str:
        """Return the id of the newest change of any job."""
        newest: Any = self._connection.client.xrevrange(keys.CHANGES, count=1)
        return newest[0][0].decode() if newest else ""

    def finished(self) -> dict[tuple[str, str], int]:
        """Return the number of finished jobs ever, by kind and final state."""
        stored: Any = self._connection.client.hgetall(keys.FINISHED)
        counted: dict[tuple[str, str], int] = {}
        for name, count in stored.items():
            kind, state = name.decode().split(":")
            counted[kind, state] = int(count)
        return counted


def _list_of(user: str | None) -> str:
    return keys.JOBS if user is None else keys.jobs_of(user)


def _existing(job_id: str, stored: Mapping[bytes, bytes]) -> Job:
    if b"kind" not in stored:
        raise job_not_found(job_id)
    return Job.from_hash(stored)


def _is_id(text: str) -> bool:
    """Return whether this can be a job's id; other keys of a job have a colon after the id."""
    return ":" not in text
