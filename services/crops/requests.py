"""A request to have crops classified: what is asked, on its way to the chip, and what came of it."""

from dataclasses import dataclass

from services.crops.answers import CROP_BYTES, Answer
from services.crops.parcels import Lane
from services.crops.store import NO_KEY
from services.jobs.store import Idempotency
from services.models.registry import Reference
from services.users.authentication import User


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
class Way:
    """The version that a request means, and where its crops wait for a chip."""

    found: Reference
    lane: Lane


@dataclass(frozen=True, slots=True)
class Sent:
    """A request on its way to the chip without a record; `started` is monotonic time."""

    request: Request
    way: Way
    started: float


@dataclass(frozen=True, slots=True)
class Answered:
    """The answers to a request's parts, in order, none of them a problem, and the seconds it took, if known."""

    answers: list[Answer]
    total_s: float | None
