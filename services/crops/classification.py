"""Having crops classified: accepted at once, answered when the chip has run them."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any, Final

from services.chips.homes import Homes
from services.chips.wakeups import WakeUp, wake_all
from services.crops.answers import CROP_BYTES, Answer, read
from services.crops.listener import Listener, Outcome, Reply
from services.crops.parcels import PART_CROPS, Lane, Parcel
from services.crops.requests import Answered, Pending, Request, Sent, Way
from services.crops.sender import CropSender
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
from services.jobs.submission import new_job, new_job_id
from services.models.registry import Reference, Registry

_LISTENING_DELAY_S: Final = 5.0
_LOOK_EVERY_S: Final = 0.02


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
        if request.wait_s > 0 and request.count <= PART_CROPS and not request.idempotency.key:
            sent, reply = Sent(request, self.way_of(request), time.monotonic()), Reply(1)
            self.send(sent, reply)
            return self.conclude(sent, reply, request.wait_s)
        way, started = self.way_of(request), time.monotonic()
        with self._failures_noted(way.found, started):
            return self._noted(way.found, self._answer_recorded(request, way), started)

    def way_of(self, request: Request) -> Way:
        """Which version a request means, and where its crops are to wait.

        Raises:
            TooLargeError: too many crops for one request.
            ModelNotFoundError: there is no such model or version.
            ChipElsewhereError: the version learnt in the loop of a chip that is not here.
        """
        if request.count > self._max_crops:
            raise TooLargeError(
                f"{request.count} crops are too many; send at most {self._max_crops} per request"
            )
        found = self._registry.find(request.user, request.model, request.version)
        with self._failures_noted(found, time.monotonic()):
            home = self._homes.of(found.model, found.version, allow_transfer=request.allow_transfer)
        return Way(found, Lane(found.model, found.version, request.user.name, home))

    def send(self, sent: Sent, reply: Reply) -> None:
        """Sends a request of one part, which has no record while its client waits; `conclude` ends the wait."""
        request = sent.request
        self._sender.send(
            Parcel(
                self._sender.new_id(),
                sent.way.lane,
                request.count,
                request.crops,
                time.time() + request.deadline_s if request.deadline_s else None,
                request.repeats,
                request.user.quotas,
            ),
            reply,
        )

    def conclude(
        self, sent: Sent, reply: Outcome, wait_s: float = 0.0, requests: int = 1
    ) -> Answered | Pending:
        """The answers to what was sent, or, when its client waits no longer, the job that will have them.

        Args:
            sent: what was sent.
            reply: what becomes of it.
            wait_s: how long its client still waits.
            requests: how many were sent as one.

        Raises:
            HxserveError: it was refused or could not be run, as `answer` says.
        """
        found = sent.way.found
        try:
            answers = reply.wait(wait_s)
            outcome = (
                self._record_late(sent, reply)
                if answers is None
                else _without_problems(answers, sent.started)
            )
        except HxserveError:  # as `_failures_noted`, which costs more
            self._statistics.note_failure(
                found.model, found.version, time.monotonic() - sent.started, requests
            )
            raise
        return self._noted(found, outcome, sent.started, requests)

    @contextmanager
    def _failures_noted(self, found: Reference, started: float) -> Iterator[None]:
        try:
            yield
        except HxserveError:
            self._statistics.note_failure(found.model, found.version, time.monotonic() - started)
            raise

    def _noted(
        self, found: Reference, outcome: Answered | Pending, started: float, requests: int = 1
    ) -> Answered | Pending:
        if isinstance(outcome, Answered):
            total_s = time.monotonic() - started
            self._statistics.note_answers(found.model, found.version, outcome.answers, total_s, requests)
        return outcome

    def _answer_recorded(self, request: Request, way: Way) -> Answered | Pending:
        """The same for a request that needs a record from the start."""
        job, started = _job_of(request, way.found, new_job_id()), time.monotonic()
        parts = list(_divide(request.crops))
        with self._listener.expecting(job.id, len(parts)) as reply:
            accepted = self._crops.accept(
                way.lane,
                job.id,
                parts,
                reply_to=self._listener.reply_to if request.wait_s > 0 else "",
                deadline_at=time.time() + request.deadline_s if request.deadline_s else None,
                record=job,
                repeats=request.repeats,
                idempotency=request.idempotency,
                quotas=request.user.quotas,
            )
            wake_all(self._wake_up, accepted.asleep)
            if accepted.repeated:
                return self._answer_again(accepted.id, request.wait_s)
            answers = reply.wait(request.wait_s) if request.wait_s > 0 else None
        return Pending(job.id) if answers is None else _without_problems(answers, started)

    def _record_late(self, sent: Sent, reply: Outcome) -> Answered | Pending:
        """Makes a record of a request that was sent without, now that its client will not wait any longer.

        Returns:
            The answers, if they were on their way to this process already, else the job.

        Raises:
            HxserveError: the request was refused after all.
        """
        until = time.monotonic() + _LISTENING_DELAY_S
        answers = None
        while reply.place is None and answers is None and time.monotonic() < until:
            answers = reply.wait(_LOOK_EVERY_S)
        if answers is None and reply.place is not None:
            job, place = _job_of(sent.request, sent.way.found, new_job_id()), reply.place
            if self._crops.promote(sent.way.lane, place.entry, job, place.span):
                return Pending(job.id)
            answers = reply.wait(_LISTENING_DELAY_S)
        if answers is None:
            raise RedisUnavailableError
        return _without_problems(answers, sent.started)

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


def _without_problems(answers: list[Answer], started: float) -> Answered:
    for answer in answers:
        if answer.problem:
            raise error_of(answer.problem)
    return Answered(answers, time.monotonic() - started)


def _job_of(request: Request, found: Reference, job_id: str) -> Job:
    params = {"version": found.version, "crops": request.count, "repeats": request.repeats}
    return replace(new_job(JobKind.CLASSIFICATION, request.user, found.model, params), id=job_id)
