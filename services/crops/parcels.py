"""Crops as they travel: where they wait, what is sent there, what a worker claims of it and what it answers."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Final

from services.users.quotas import UNLIMITED, Quotas

PART_CROPS: Final = 64
"""No entry of a lane has more crops, so that batches can be shared; `prelude.lua` knows it too."""


@dataclass(frozen=True, slots=True)
class Lane:
    """Where crops of one sender wait for one version of a model.

    `home` is the hardware's name of the only chip that may read them; any may when it is empty.
    """

    model: str
    version: str
    user: str
    home: str = ""

    def __str__(self) -> str:
        """The lane's name in Redis; the parts hold neither separator."""
        return f"{self.reference}:{self.user}"

    @property
    def reference(self) -> str:
        """What tells those crops apart that may share a batch."""
        return f"{self.model}@{self.version}" + (f"@{self.home}" if self.home else "")

    @classmethod
    def parse(cls, name: str) -> "Lane":
        """The inverse of `str`."""
        reference, user = name.rsplit(":", 1)
        model, version, *home = reference.split("@")
        return cls(model, version, user, *home)


@dataclass(frozen=True, slots=True)
class Parcel:
    """Crops that need no record yet, of one request or of several that travel together.

    `count` crops in all, `crops` are (count, 784) bytes; `deadline_at` in Unix seconds.
    """

    id: str
    lane: Lane
    count: int
    crops: bytes
    deadline_at: float | None
    repeats: int = 1
    quotas: Quotas = UNLIMITED


@dataclass(frozen=True, slots=True)
class Span:
    """Which crops of a parcel are those of one request: `count` from the `first` on."""

    first: int
    count: int


@dataclass(frozen=True, slots=True)
class Entry:
    """One part of a request as a worker claimed it.

    Each crop is to be read `repeats` times. `claims` counts the worker processes that claimed the part, this one
    included.
    """

    lane: Lane
    entry: str
    id: str
    part: int
    count: int
    reply_to: str
    crops: bytes
    is_expired: bool
    accepted_at: float
    repeats: int = 1
    claims: int = 1

    @property
    def key(self) -> tuple[str, int]:
        """What tells this part from all others; two lanes may give the same `entry` in the same millisecond."""
        return self.id, self.part


@dataclass(frozen=True, slots=True)
class Finished:
    """The answer to one entry; `ended` is the final state of its job when the crops were not run."""

    entry: Entry
    answer: bytes
    ended: str = ""
    problem: str = "null"


def read_entries(claimed: Iterable[Sequence[Any]]) -> list[Entry]:
    """Entries as the scripts give them."""
    return [
        Entry(
            lane=Lane.parse(fields[0].decode()),
            entry=fields[1].decode(),
            id=fields[2].decode(),
            part=int(fields[3]),
            count=int(fields[4]),
            reply_to=fields[5].decode(),
            crops=fields[6],
            is_expired=bool(fields[7]),
            accepted_at=int(fields[8]) / 1000,
            repeats=int(fields[9]),
            claims=int(fields[10]) if len(fields) > 10 else 1,
        )
        for fields in claimed
    ]
