"""Requests to classify crops, and their outcomes.

Objects created for each request are not frozen: creating a frozen dataclass takes five times as long.
"""

import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Final

from services.crops.answers import CROP_BYTES, Answer
from services.crops.extras import Extras
from services.crops.lanes import PART_CROPS, Lane, Span
from services.crops.remarks import NO_REMARKS, Remarks
from services.errors import HxserveError, error_of
from services.jobs.acceptance import NO_KEY, Idempotency
from services.jobs.record import Job
from services.users.authentication import User


@dataclass(slots=True)
class CropRequest:
    """Crops to classify: `crops` are (n, 784) bytes, each to be read `repeats` times.

    `wait_s` is how long the client waits for the answer; after `deadline_s` the crops are not run any more. With `keep`
    crops and answer are kept for a correction; the answer has the `extras`, too. `sender` tells apart those for whom
    the user asks, where a rollout answers some of them with its candidate.
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
    remarks: Remarks = NO_REMARKS
    keep: bool = False
    sender: str = ""
    extras: Extras = Extras.NONE
    trace: bytes = b""
    """The span of the request, as `services.tracing.traces` carries it; empty if it is not sampled."""

    @property
    def count(self) -> int:
        """The number of crops."""
        return len(self.crops) // CROP_BYTES

    @property
    def is_recorded(self) -> bool:
        """True where the request is a job from the start: nobody waits, it has several parts or a key, or is kept."""
        return self.wait_s <= 0 or self.count > PART_CROPS or bool(self.idempotency.key) or self.keep

    def parts(self) -> Iterator[tuple[int, bytes]]:
        """Yield number of crops and bytes of each part, of `PART_CROPS` crops at most."""
        step = PART_CROPS * CROP_BYTES
        for start in range(0, len(self.crops), step):
            part = self.crops[start : start + step] if len(self.crops) > step else self.crops
            yield len(part) // CROP_BYTES, part


@dataclass(slots=True)
class Answered:
    """The answers to the parts of a request, in order and without problems; `total_s` is the time it took, if known.

    `id` is the job's, if there is one.
    """

    id: str
    answers: list[Answer]
    total_s: float | None


@dataclass(frozen=True, slots=True)
class JobReference:
    """The job that has or will have the answer; `is_repeated` if an earlier request with the same key created it."""

    job_id: str
    is_repeated: bool = False


class PendingAnswer:
    """The outcome of a request, as a future.

    `on_done` is called once, by whichever thread learns it, and must not wait.
    """

    __slots__ = (
        "_answers",
        "_event",
        "_is_complete",
        "_on_done",
        "_outcome",
        "count",
        "entry",
        "id",
        "job",
        "lane",
        "request",
        "span",
        "started",
    )

    def __init__(
        self,
        request: CropRequest,
        lane: Lane,
        job: Job | None,
        on_done: Callable[["PendingAnswer"], None] | None,
        answer_id: str = "",
    ) -> None:
        self.id: Final = job.id if job is not None else answer_id
        self.request: Final = request
        self.lane: Final = lane
        self.count: Final = request.count
        self.job: Final = job
        """The record stored with the request; None if a record is made only when the client stops waiting."""
        self.started: Final = time.monotonic()
        self.entry: str | None = None
        """Where its crops wait, once they are accepted; empty for a job whose acceptance was lost and sent again."""
        self.span = Span(0, self.count)
        """Which of the entry's crops are its own."""
        self._answers: dict[int, Answer] = {}
        self._outcome: HxserveError | JobReference | None = None
        self._is_complete = False
        self._event: threading.Event | None = None
        """Set when the outcome is known; created by the first `wait`."""
        self._on_done = on_done

    def put(self, part: int, answer: Answer) -> bool:
        """Take the answer to one part; return whether no more is waited for, as all are there or one was not run."""
        if not self._is_complete:
            self._answers[part] = answer
            if answer.problem or len(self._answers) * PART_CROPS >= self.count:
                self._end()
        return self._is_complete

    @property
    def is_job(self) -> bool:
        """True where a job has the answer, or will have it."""
        return isinstance(self._outcome, JobReference)

    def end_with(self, outcome: HxserveError | JobReference) -> None:
        """End the wait with a refusal, or with the job that will have the answer."""
        if not self._is_complete:
            self._outcome = outcome
            self._end()

    def _end(self) -> None:
        self._is_complete = True
        if self._event is not None:
            self._event.set()
        if self._on_done is not None:
            self._on_done(self)

    def wait(self, timeout_s: float = 0.0) -> Answered | JobReference | None:
        """Return the answers or their job; None when neither is known in time.

        Raises:
            HxserveError: the request was refused, or its crops could not be run.
        """
        # Not the event alone: gevent may never end a wait for one that is set while other waits for it time out.
        if not self._is_complete:
            self._event = self._event or threading.Event()
            if not self._is_complete and not self._event.wait(timeout_s):
                return None
        return self.outcome()

    def outcome(self) -> Answered | JobReference:
        """Return the answers or their job, once it is known which.

        Raises:
            HxserveError: the request was refused, or its crops could not be run.
        """
        outcome = self._outcome
        if isinstance(outcome, HxserveError):
            raise outcome
        if outcome is not None:
            return outcome
        answers = self.answers
        for answer in answers:
            if answer.problem:
                raise error_of(answer.problem)
        return Answered(self.id, answers, time.monotonic() - self.started)

    @property
    def answers(self) -> list[Answer]:
        """The answers received so far, in the order of their parts."""
        if len(self._answers) == 1:
            return list(self._answers.values())
        return [answer for _, answer in sorted(self._answers.items())]
