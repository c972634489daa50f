"""Having crops classified: accepted at once, answered when the chip has run them."""

import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final

from services.answers import CROP_BYTES, Answer, read
from services.errors import (
    HxserveError,
    JobCancelledError,
    JobNotFoundError,
    RedisUnavailableError,
    TooLargeError,
    error_of,
)
from services.homes import Homes
from services.jobs import Job, JobKind, JobState
from services.registry import Reference, Registry
from services.statistics import Statistics
from services.store.crops import NO_KEY, CropStore, Lane, Parcel
from services.store.jobs import Idempotency, JobStore
from services.store.listener import Listener, Reply
from services.store.sender import CropSender
from services.submission import new_job
from services.users import User
from services.wakeups import WakeUp, wake_all

PART_CROPS: Final = 64
"""A request is divided into parts of so many crops, so that batches can be shared."""

_LISTENING_DELAY_S: Final = 5.0
_LOOK_EVERY_S: Final = 0.02


@dataclass(frozen=True, slots=True)
class Request:
    """Crops to classify: `crops` are (n, 784) bytes, each to be read `repeats` times.

    `wait_s` is how long the client waits for the answer, `deadline_s` from when on nobody wants it.
    """

    user: User
    model: str
    version: str
    crops: bytes
    wait_s: float
    deadline_s: float | None = None
    repeats: int = 1
    idempotency: Idempotency = NO_KEY
    allow_transfer: bool = False

    @property
    def count(self) -> int:
        """The number of crops."""
        return len(self.crops) // CROP_BYTES


@dataclass(frozen=True, slots=True)
class Pending:
    """The answer is not there yet; the job will have it."""

    job_id: str


@dataclass(frozen=True, slots=True)
class Answered:
    """The answers to a request's parts, in order, none of them a problem, and the seconds it took, if known."""

    answers: list[Answer]
    total_s: float | None


class Classifications:
    """The way to the chip for crops."""

    def __init__(
        self,
        crops: CropStore,
        jobs: JobStore,
        registry: Registry,
        listener: Listener,
        sender: CropSender,
        wake_up: WakeUp,
        homes: Homes,
        statistics: Statistics,
        *,
        max_crops: int,
    ) -> None:
        self._crops = crops
        self._jobs = jobs
        self._registry = registry
        self._listener = listener
        self._sender = sender
        self._wake_up = wake_up
        self._statistics = statistics
        self._max_crops = max_crops
        self._homes = homes

    def classify(self, request: Request) -> dict[str, Any] | Pending:
        """The predictions of a request's crops as the user reads them, or the job that will have them.

        Raises:
            HxserveError: see `answer`.
        """
        answered = self.answer(request)
        return answered if isinstance(answered, Pending) else read(answered.answers, answered.total_s)

    def answer(self, request: Request) -> Answered | Pending:
        """The answers to a request's crops, or the job that will have them.

        Raises:
            ModelNotFoundError: there is no such model or version.
            TooLargeError: too many crops for one request.
            QueueFullError: too many crops wait.
            QuotaExceededError: too many of the user wait, or have used the chip too long today.
            ChipElsewhereError: the version learnt in the loop of a chip that is not here.
            ExpiredError: the deadline passed first.
            JobCancelledError: somebody cancelled its job meanwhile.
            HxserveError: the crops could not be run; the class says why.
        """
        if request.count > self._max_crops:
            raise TooLargeError(
                f"{request.count} crops are too many; send at most {self._max_crops} per request"
            )
        found = self._registry.find(request.user, request.model, request.version)
        started = time.monotonic()
        try:
            answered = self._answer(request, found)
        except HxserveError:
            self._statistics.note_failure(found.model, found.version, time.monotonic() - started)
            raise
        if isinstance(answered, Answered):
            total_s = time.monotonic() - started
            self._statistics.note_answers(found.model, found.version, answered.answers, total_s)
        return answered

    def _answer(self, request: Request, found: Reference) -> Answered | Pending:
        job = new_job(
            JobKind.CLASSIFICATION,
            request.user,
            found.model,
            {"version": found.version, "crops": request.count, "repeats": request.repeats},
        )
        home = self._homes.of(found.model, found.version, allow_transfer=request.allow_transfer)
        lane = Lane(found.model, found.version, request.user.name, home)
        parts = list(_divide(request.crops))
        recorded = len(parts) > 1 or request.wait_s <= 0 or bool(request.idempotency.key)
        deadline_at = time.time() + request.deadline_s if request.deadline_s else None
        started = time.monotonic()
        with self._listener.expecting(job.id, len(parts)) as reply:
            if recorded:
                accepted = self._crops.accept(
                    lane,
                    job.id,
                    parts,
                    reply_to=self._listener.reply_to if request.wait_s > 0 else "",
                    deadline_at=deadline_at,
                    record=job,
                    repeats=request.repeats,
                    idempotency=request.idempotency,
                    quotas=request.user.quotas,
                )
                wake_all(self._wake_up, accepted.asleep)
                if accepted.repeated:
                    return self._answer_again(accepted.id, request.wait_s)
                answers = reply.wait(request.wait_s) if request.wait_s > 0 else None
            else:
                self._sender.send(
                    Parcel(job.id, lane, *parts[0], deadline_at, request.repeats, request.user.quotas), reply
                )
                answers = reply.wait(request.wait_s)
                if answers is None:
                    answers = self._record_late(job, lane, reply)
        if answers is None:
            return Pending(job.id)
        return _without_problems(answers, time.monotonic() - started)

    def _record_late(self, job: Job, lane: Lane, reply: Reply) -> list[Answer] | None:
        """Makes a record of a request that was sent without, now that its client will not wait any longer.

        Returns:
            The answers, if they were on their way to this process already.

        Raises:
            HxserveError: the request was refused after all.
        """
        until = time.monotonic() + _LISTENING_DELAY_S
        while not reply.entry:
            answers = reply.wait(_LOOK_EVERY_S)
            if answers is not None:
                return answers
            if time.monotonic() > until:
                raise RedisUnavailableError
        if self._crops.promote(lane, reply.entry, job):
            return None
        return reply.wait(_LISTENING_DELAY_S)

    def result_of(self, job: Job) -> dict[str, Any] | None:
        """The predictions of a finished classification, or None when it has none (any more)."""
        stored = self._stored(job)
        return read(stored.answers, stored.total_s) if stored else None

    def _stored(self, job: Job) -> Answered | None:
        if job.state is not JobState.SUCCEEDED or job.finished_at is None:
            return None
        stored = self._jobs.results(job.id)
        answers = [Answer.unpack(stored[part]) for part in sorted(stored)]
        return Answered(answers, job.finished_at - job.created_at) if answers else None

    def _answer_again(self, job_id: str, wait_s: float) -> Answered | Pending:
        until = time.monotonic() + wait_s
        with self._listener.watching(job_id) as changed:
            while True:
                changed.clear()
                job = self._jobs.get(job_id)
                left = until - time.monotonic()
                if job.state.is_final or left <= 0 or self._listener.is_stopping:
                    break
                changed.wait(left)
        if not job.state.is_final:
            return Pending(job_id)
        if job.state is JobState.CANCELLED:
            raise JobCancelledError
        if job.error:
            raise error_of(job.error)
        stored = self._stored(job)
        if stored is None:
            raise JobNotFoundError(f"the results of job {job_id} have expired; send the crops again")
        return stored


def _divide(crops: bytes) -> Iterator[tuple[int, bytes]]:
    step = PART_CROPS * CROP_BYTES
    if len(crops) <= step:
        yield len(crops) // CROP_BYTES, crops
        return
    for start in range(0, len(crops), step):
        part = crops[start : start + step]
        yield len(part) // CROP_BYTES, part


def _without_problems(answers: list[Answer], total_s: float) -> Answered:
    for answer in answers:
        if answer.problem:
            raise error_of(answer.problem)
    return Answered(answers, total_s)
