"""The record of a class: its seats, its end and what becomes of it after that."""

import json
import secrets
import time
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Final, Self

from services.names import CLASS_ALPHABET, CLASS_CODE_LENGTH
from services.users.quotas import Quotas

MOST_SEATS: Final = 100
LONGEST_S: Final = 24 * 3600.0
"""The longest time from now to the end of a class."""
MOST_CLASSES: Final = 2
"""The most classes of one teacher, admins apart, that have not ended: each has a share of the chip."""
RETURN_S: Final = 600.0
"""The life of a code with which a pupil takes a seat again."""

SEAT_QUOTAS: Final = Quotas(
    max_queued_jobs=2,
    max_waiting_crops=1_000,
    chip_seconds_per_day=900.0,
    requests_per_second=100.0,
    operations_per_second=50.0,
    operation_bytes_per_second=10e6,
    kept_crops=500,
    open_corrections=500,
    dataset_bytes=32 * 2**20,
)
"""The quotas of a pupil, where those of the service's users are not smaller."""


class ClassState(StrEnum):
    """The state of a class: `ended` until it is deleted, with all that its pupils made."""

    OPEN = "open"
    PAUSED = "paused"
    ENDED = "ended"
    DELETING = "deleting"


@dataclass(frozen=True, slots=True)
class Class:
    """A class as recorded. Times are Unix seconds; `seats` is the number of pupils that may join."""

    code: str
    title: str
    teacher: str
    seats: int
    created_at: float
    until: float
    paused: bool = False
    deleting: bool = False

    @property
    def state(self) -> ClassState:
        """The state now."""
        if self.deleting:
            return ClassState.DELETING
        if self.until <= time.time():
            return ClassState.ENDED
        return ClassState.PAUSED if self.paused else ClassState.OPEN

    @property
    def is_over(self) -> bool:
        """True after its end."""
        return self.state in {ClassState.ENDED, ClassState.DELETING}

    @classmethod
    def from_hash(cls, code: str, stored: Mapping[bytes, bytes]) -> Self:
        """Return the class as its Redis hash holds it: one JSON text per field."""
        return cls(code=code, **{name.decode(): json.loads(text) for name, text in stored.items()})


def new_code() -> str:
    """Return a code that is easy to read aloud and hard to guess."""
    return "".join(secrets.choice(CLASS_ALPHABET) for _ in range(CLASS_CODE_LENGTH))


def seat_quotas(defaults: Quotas) -> dict[str, float | None]:
    """Return the quotas of a pupil: the smaller ones of `SEAT_QUOTAS` and the defaults of the service's users."""
    of_users = {name: limit for name, limit in defaults.items() if limit is not None}
    return {name: min(limit, of_users.get(name, limit)) for name, limit in SEAT_QUOTAS.items()}
