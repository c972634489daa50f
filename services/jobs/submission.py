"""Submission and cancellation of long jobs."""

import hashlib
import json
import logging
import secrets
import time
from typing import Any, Final

from services.chips.affinity import Affinity
from services.chips.store import ChipStore
from services.chips.wakeups import WakeUp, wake_all
from services.datasets.uploads import DatasetUploads
from services.disk import Disk
from services.errors import (
    ForbiddenError,
    HxserveError,
    InvalidInputError,
    RedisUnavailableError,
)
from services.jobs.acceptance import Accepted, Idempotency
from services.jobs.mixtures import DatasetReferences
from services.jobs.params import BatchParams, ImportParams, TrainingParams, UploadParams
from services.jobs.record import Job, JobKind, JobState
from services.jobs.request import JobRequest
from services.jobs.resolution import Resolution
from services.jobs.store import JobStore, job_not_found
from services.logs import about, log_end
from services.models.description import Description
from services.models.registry import Registry
from services.models.uploads import Uploads
from services.tracing.traces import carried
from services.users.authentication import User
from services.webhooks.webhooks import Webhooks

LONGEST_KEY: Final = 200
_ANSWER_BYTES: Final = 20
"""Of a crop of a batch job, on the disk."""
_log = logging.getLogger(__name__)


def new_job_id() -> str:
    """Return an id that cannot be guessed and sorts by time."""
    return f"{time.time_ns() // 1_000_000:011x}{secrets.token_hex(6)}"


def new_job(
    kind: JobKind, user: User, model: str, params: dict[str, Any], home: str = "", webhook: str = ""
) -> Job:
    """Return a job that is not recorded yet; the store sets the time."""
    return Job(
        id=new_job_id(),
        kind=kind,
        user=user.name,
        model=model,
        params=params,
        state=JobState.QUEUED,
        created_at=time.time(),
        home=home,
        webhook=webhook,
        trace=carried().hex(),
    )


def bind_key(user: User, key: str | None, request: bytes) -> Idempotency:
    """Return the store's name of an Idempotency-Key: each user has their own keys.

    Raises:
        InvalidInputError: the key is too long.
    """
    if not key:
        return Idempotency()
    check_key(key)
    return Idempotency(f"{user.name}:{key}", hashlib.sha256(request).hexdigest())


def check_key(key: str) -> None:
    """Raise InvalidInputError if an Idempotency-Key is too long."""
    if len(key) > LONGEST_KEY:
        raise InvalidInputError(f"the Idempotency-Key has {len(key)} characters; use at most {LONGEST_KEY}")


def job_for(jobs: JobStore, job_id: str, user: User) -> Job:
    """Return a job; one that the user may not see counts as missing.

    Raises:
        JobNotFoundError: there is none of this id for the user.
    """
    job = jobs.get(job_id)
    if not user.may_see(job.user):
        raise job_not_found(job_id)
    return job


class Submissions:
    """Submits and cancels long jobs."""

    def __init__(
        self,
        jobs: JobStore,
        registry: Registry,
        chips: ChipStore,
        affinity: Affinity,
        wake_up: WakeUp,
        *,
        uploads: Uploads,
        dataset_uploads: DatasetUploads,
        references: DatasetReferences,
        max_queued_jobs: int,
        disk: Disk | None = None,
        webhooks: Webhooks | None = None,
    ) -> None:
        self._jobs = jobs
        self._registry = registry
        self._resolution = Resolution(registry, chips, affinity, references, dataset_uploads)
        self._dataset_uploads = dataset_uploads
        self._wake_up = wake_up
        self._uploads = uploads
        self._max_queued_jobs = max_queued_jobs
        self._disk = disk
        self._webhooks = webhooks

    def submit(self, request: JobRequest, user: User, key: str | None = None) -> Job:
        """Record a job and wake the chip; the job is durable when this returns.

        Raises:
            InvalidInputError: the options are not those of the kind, or do not fit each other.
            ForbiddenError: a plain user asks for a calibration, or for a training of another's model.
            ChipElsewhereError: a version learnt in the loop of a chip that is not here, or not the one asked for.
            ModelNotFoundError: a version does not exist.
            DatasetNotFoundError: the data set does not exist.
            NotFoundError: the chip or the upload does not exist.
            ConflictError: parts of the upload are missing.
            WebhookNotFoundError: the user has no such webhook.
            IdempotencyConflictError: the key was used for another request.
            QueueFullError: too many jobs are unfinished.
            QuotaExceededError: the user's are too many, or have used the chip too long today.
            DiskLowError: there is no room for another training, or for the answers of a batch job.
        """
        params = request.validated_params()
        if JobKind(request.kind).is_maintenance and not user.is_admin:
            raise ForbiddenError(
                "only an admin may have a chip calibrated: it goes before everybody's long work"
            )
        if isinstance(params, TrainingParams) and self._disk is not None:
            self._disk.check()
        found = self._resolution.resolve(params, user, request.model or "")
        if request.webhook and self._webhooks is not None:
            self._webhooks.check_named(user, request.webhook)
        job = new_job(
            JobKind(request.kind),
            user,
            found.model,
            found.params.model_dump(),
            found.home,
            request.webhook or "",
        )
        # Without a webhook the digest is that of a request as it was before there were any.
        left_out = None if request.webhook else {"webhook"}
        body = json.dumps(request.model_dump(exclude=left_out), sort_keys=True).encode()
        if isinstance(found.params, BatchParams):
            return self._submit_batch(job, found.params, user, key, body)
        return self._jobs.get(self._record(job, user, bind_key(user, key, body)).id)

    def _submit_batch(self, job: Job, params: BatchParams, user: User, key: str | None, body: bytes) -> Job:
        if self._disk is not None:
            self._disk.check(_ANSWER_BYTES * (params.expected_crops or 0))
        if params.upload is not None:  # one upload is of one job, whatever key is given
            key = f"upload {params.upload}"
        accepted = self._record(job, user, bind_key(user, key, body))
        if params.upload is not None:
            self._dataset_uploads.mark_complete(self._dataset_uploads.get(params.upload, user), accepted.id)
        return self._jobs.get(accepted.id)

    def submit_upload(
        self, model: str, description: Description, content: bytes, user: User, key: str | None = None
    ) -> Job:
        """Record the upload of a version; file and job are durable when this returns.

        Args:
            model: the name that the user gives the model.
            description: of the file, read from it.
            content: the file, checked.
            user: who uploads it.
            key: an Idempotency-Key.

        Raises:
            ForbiddenError: it would be another's model.
            IdempotencyConflictError: the key was used for another request.
            QueueFullError: too many jobs are unfinished.
            QuotaExceededError: the user's are too many, or have used the chip too long today.
            DiskLowError: there is no room for another version.
            StorageError: the file cannot be written.
        """
        if self._disk is not None:
            self._disk.check()
        params = UploadParams(sha256=hashlib.sha256(content).hexdigest(), network=description.network)
        job = new_job(JobKind.UPLOAD, user, self._registry.to_create(user, model), params.model_dump())
        idempotency = bind_key(user, key, f"{job.model} {params.sha256}".encode())
        self._uploads.keep(job.id, content)
        try:
            accepted = self._record(job, user, idempotency)
        except RedisUnavailableError:
            raise  # it may be recorded; housekeeping deletes the file if not
        except HxserveError:
            self._uploads.discard(job.id)
            raise
        if accepted.repeated:
            self._uploads.discard(job.id)
        return self._jobs.get(accepted.id)

    def submit_import(self, params: ImportParams, user: User, key: str, request: bytes) -> Accepted:
        """Record the import of a data set, whose files are there; the job is durable when this returns.

        Args:
            params: of the import.
            user: who uploaded the files.
            key: an Idempotency-Key, or one that belongs to the upload.
            request: content that is the same in a repeated request.

        Raises:
            IdempotencyConflictError: the key was used for another request.
            QueueFullError: too many jobs are unfinished.
            QuotaExceededError: the user's are too many, or have used the chip too long today.
        """
        job = new_job(JobKind.IMPORT, user, "", params.model_dump())
        return self._record(job, user, bind_key(user, key, request))

    def _record(self, job: Job, user: User, idempotency: Idempotency) -> Accepted:
        user.check_not_paused()
        accepted = self._jobs.submit(job, idempotency, most=self._max_queued_jobs, quotas=user.quotas)
        if not accepted.repeated:
            with about(job=job.id, user=job.user):
                of = job.model or job.params.get("dataset", "the chip")
                _log.info("job %s: submitted, %s of %s", job.id, job.kind, of)
        wake_all(self._wake_up, accepted.asleep)
        return accepted

    def cancel(self, job_id: str, user: User) -> Job:
        """Cancel a job: at once while it waits, at the next mini-batch while it runs.

        Raises:
            JobNotFoundError: there is no such job that the user may touch.
        """
        job = job_for(self._jobs, job_id, user)
        ended, asleep = self._jobs.cancel(job_id)
        if ended and job.kind.is_long:
            log_end(job, JobState.CANCELLED)
        wake_all(self._wake_up, asleep)
        return self._jobs.get(job_id)
