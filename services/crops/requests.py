"""Requests to classify crops, and their outcomes.

Objects created for each request are not frozen: creating a frozen dataclass takes five times as long.
"""

from collections.abc import Iterator
from dataclasses import dataclass

from services.crops.answers import CROP_BYTES, Answer
from services.crops.lanes import PART_CROPS, Lane
from services.jobs.store import NO_KEY, Idempotency
from services.models.registry import Reference
from services.users.authentication import User


@dataclass(slots=True)
class CropRequest:
    """Crops to classify: `crops` are (n, 784) bytes, each to be read `repeats` times.

    `wait_s` is how long the client waits for the answer; after `deadline_s` the crops are not run any more.
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

    @property
    def is_recorded(self) -> bool:
        """True where the request is a job from the start: nobody waits, it has several parts, or a key."""
        return self.wait_s <= 0 or self.count > PART_CROPS or bool(self.idempotency.key)

    def parts(self) -> Iterator[tuple[int, bytes]]:
        """Yield number of crops and bytes of each part, of `PART_CROPS` crops at most."""
        step = PART_CROPS * CROP_BYTES
        for start in range(0, len(self.crops), step):
            part = self.crops[start : start + step] if len(self.crops) > step else self.crops
            yield len(part) // CROP_BYTES, part


@dataclass(frozen=True, slots=True)
class Route:
    """The version that a request resolves to, and the lane in which its crops wait for a chip."""

    found: Reference
    lane: Lane


@dataclass(slots=True)
class Answered:
    """The answers to the parts of a request, in order and without problems; `total_s` is the time it took, if known."""

    answers: list[Answer]
    total_s: float | None


@dataclass(frozen=True, slots=True)
class JobReference:
    """The job that has or will have the answer; `is_repeated` if an earlier request with the same key created it."""

    job_id: str
    is_repeated: bool = False
