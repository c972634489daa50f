"""Having crops classified: accepted at once, answered when the chip has run them."""

import secrets
import time
from collections.abc import Callable
from itertools import count
from math import prod
from typing import Any, Final

from services.chips.affinity import Affinity
from services.crops.answers import Answer, read
from services.crops.batcher import Batcher
from services.crops.extras import Extras
from services.crops.lanes import PART_CROPS, Lane
from services.crops.listener import Listener
from services.crops.remarks import Remarks
from services.crops.requests import Answered, CropRequest, JobReference, PendingAnswer
from services.crops.statistics import Statistics
from services.crops.store import CropStore
from services.errors import (
    HxserveError,
    JobCancelledError,
    JobNotFoundError,
    RedisUnavailableError,
    TooLargeError,
    error_of,
)
from services.jobs.record import Job, JobKind, JobState
from services.jobs.store import JobStore
from services.jobs.submission import new_job
from services.models.registry import Reference, Registry

MOST_ACTIVATIONS: Final = 2**20
"""Hidden activations that one answer may have; Redis keeps a byte for each."""
_LISTENING_DELAY_S: Final = 5.0
_LOOK_EVERY_S: Final = 0.02
_TOGETHER_S: Final = 0.002
"""Requests that come within this time share what was found of their model."""


class Classifications:
    """Submits crops for classification and returns their answers, or the job that will have them."""

    def __init__(
        self,
        crops: CropStore,
        jobs: JobStore,
        registry: Registry,
        listener: Listener,
        batcher: Batcher,
        affinity: Affinity,
        statistics: Statistics,
        *,
        max_crops: int,
    ) -> None:
        self._crops = crops
        self._jobs = jobs
        self._registry = registry
        self._listener = listener
        self._batcher = batcher
        self._affinity = affinity
        self._statistics = statistics
        self._max_crops = max_crops
        self._lanes: dict[tuple[str, str, str, bool, str], Lane | None] = {}
        self._lanes_at = 0.0
        self._process: Final = f"{secrets.token_hex(6)}-"
        """Begins the ids of answers that are no job's; nothing of them is kept, so they may be guessed."""
        self._numbers: Final = count(1)

    def submit(
        self,
        request: CropRequest,
        on_done: Callable[[PendingAnswer], None] | None = None,
        lane: Lane | None = None,
    ) -> PendingAnswer:
        """Send a request on its way; `conclude` gives what becomes of it.

        Args:
            request: what is asked.
            on_done: is called once that is known, by any thread; must not wait.
            lane: of its crops, where it is known.

        Raises:
            TooLargeError: too many crops for one request, or activations of too many.
            ModelNotFoundError: there is no such model or version.
            ChipElsewhereError: the version learnt in the loop of a chip that is not here.
            ClassPausedError: the user is a pupil of a class that is paused.
        """
        request.user.check_not_paused()
        lane = lane or self._lane_of(request)
        if Extras.ACTIVATIONS in request.extras:
            self._check_activations(request, lane)
        job = _job_of(request, lane) if request.is_recorded else None
        pending = PendingAnswer(request, lane, job, on_done, f"{self._process}{next(self._numbers):x}")
        self._batcher.submit(pending)
        return pending

    def conclude(self, pending: PendingAnswer, wait_s: float = 0.0) -> Answered | JobReference:
        """Return the answers to a request, or the job that will have them.

        Args:
            pending: as `submit` returned it.
            wait_s: how long its client still waits for the answers.

        Raises:
            QueueFullError: too many crops wait.
            QuotaExceededError: too many of the user wait, or have used the chip too long today.
            IdempotencyConflictError: the key was used for another request.
            ExpiredError: the deadline passed first.
            JobCancelledError: its job was cancelled meanwhile.
            HxserveError: the crops could not be run; the class says why.
        """
        until = time.monotonic() + wait_s
        outcome = pending.wait(wait_s) or self._keep_as_job(pending)
        if isinstance(outcome, JobReference) and outcome.is_repeated:
            return self._wait_for_job(outcome.job_id, until - time.monotonic())
        return outcome

    def classify(self, request: CropRequest) -> Answered | JobReference:
        """Return the answers to a request, or, when its client waits no longer, the job that will have them.

        Raises:
            HxserveError: see `submit` and `conclude`.
        """
        return self.conclude(self.submit(request), request.wait_s)

    def known_lane(self, request: CropRequest) -> Lane | None:
        """Return the lane of a request's crops; None where Redis must be asked where its version may run.

        Raises:
            TooLargeError: too many crops for one request.
            ModelNotFoundError: there is no such model or version.
        """
        now = time.monotonic()
        if now - self._lanes_at > _TOGETHER_S:
            self._lanes, self._lanes_at = {}, now
        key = (request.user.name, request.model, request.version, request.allow_transfer, request.sender)
        if key not in self._lanes or request.count > self._max_crops:
            found = self._find(request)
            home = self._affinity.known(found.model, found.version, allow_transfer=request.allow_transfer)
            self._lanes[key] = None if home is None else _lane(request, found, home)
        return self._lanes[key]

    def _find(self, request: CropRequest) -> Reference:
        if request.count > self._max_crops:
            raise TooLargeError(
                f"{request.count} crops are too many; send at most {self._max_crops} per request"
            )
        sender = f"{request.user.name} {request.sender}"
        return self._registry.find(request.user, request.model, request.version, sender=sender)

    def _check_activations(self, request: CropRequest, lane: Lane) -> None:
        network = self._registry.manifest(Reference(lane.model, lane.version)).network
        values = sum(prod(shape) for shape in network.hidden.values())
        most = min(PART_CROPS, MOST_ACTIVATIONS // max(values, 1))
        if request.count > most:
            raise TooLargeError(
                f"{request.count} crops are too many for their activations, {values} values each; "
                f"send at most {most} per request"
            )

    def _lane_of(self, request: CropRequest) -> Lane:
        found = self._find(request)
        try:
            home = self._affinity.of(found.model, found.version, allow_transfer=request.allow_transfer)
        except HxserveError:
            self._statistics.note_failure(found.model, found.version, 0.0)
            raise
        return _lane(request, found, home)

    def _keep_as_job(self, pending: PendingAnswer) -> Answered | JobReference:
        """Return the job of a request whose client stopped waiting; one that has none is recorded now.

        Raises:
            HxserveError: the request was refused after all.
        """
        until = time.monotonic() + _LISTENING_DELAY_S
        outcome = None
        while pending.entry is None and outcome is None and time.monotonic() < until:
            outcome = pending.wait(_LOOK_EVERY_S)
        if outcome is None and pending.entry is not None:
            if pending.job is not None:
                return JobReference(pending.job.id)
            job = _job_of(pending.request, pending.lane)
            if self._crops.promote(pending.lane, pending.entry, job, pending.span):
                return JobReference(job.id)
            outcome = pending.wait(_LISTENING_DELAY_S)  # the answer is on its way to this process already
        if outcome is None:
            raise RedisUnavailableError
        return outcome

    def result_of(self, job: Job) -> dict[str, Any] | None:
        """Return the predictions of a finished classification, or None when it has none (any more)."""
        stored = self._stored(job)
        if stored is None:
            return None
        return read(stored.id, stored.answers, stored.total_s, Remarks.of_params(job.params))

    def _stored(self, job: Job) -> Answered | None:
        if job.state is not JobState.SUCCEEDED or job.finished_at is None:
            return None
        stored = self._jobs.results(job.id)
        answers = [Answer.unpack(stored[part]) for part in sorted(stored)]
        return Answered(job.id, answers, job.finished_at - job.created_at) if answers else None

    def _wait_for_job(self, job_id: str, wait_s: float) -> Answered | JobReference:
        until = time.monotonic() + wait_s
        with self._listener.subscribed(job_id) as changed:
            while True:
                changed.clear()
                job = self._jobs.get(job_id)
                left_s = until - time.monotonic()
                if job.state.is_final or left_s <= 0 or self._listener.is_stopping:
                    break
                changed.wait(left_s)
        if not job.state.is_final:
            return JobReference(job_id)
        if job.state is JobState.CANCELLED:
            raise JobCancelledError
        if job.error:
            raise error_of(job.error)
        stored = self._stored(job)
        if stored is None:
            raise JobNotFoundError(f"the results of job {job_id} have expired; send the crops again")
        return stored


def _lane(request: CropRequest, found: Reference, home: str) -> Lane:
    return Lane(found.model, found.version, request.user.name, home)


def _job_of(request: CropRequest, lane: Lane) -> Job:
    params = {"version": lane.version, "crops": request.count, "repeats": request.repeats}
    params |= request.remarks.as_params()
    params |= dict.fromkeys([*(["keep"] if request.keep else []), *request.extras.names], True)
    return new_job(JobKind.CLASSIFICATION, request.user, lane.model, params)
