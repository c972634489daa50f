"""Claimed entries, their answers, and the backlog that a worker reads with each claim."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

import msgpack

from services.chips.store import Drain, read_drain
from services.crops.extras import Extras
from services.crops.lanes import Lane, read_waiting
from services.jobs.usage import read_charge
from services.scheduling.policy import Charge
from services.store.scripts import pairs


@dataclass(frozen=True, slots=True)
class Prefetch:
    """Crops to claim with a backlog, if nothing else waits: `most` of one lane of this reference."""

    reference: str = ""
    most: int = 0


NO_PREFETCH: Final = Prefetch()
NO_CROPS: Final = "-"
"""The reference of no version: a chip that has read no crops yet is still handed operations with its bell."""


@dataclass(frozen=True, slots=True)
class Entry:
    """An entry of a lane as a worker claimed it: one part of a request, or requests that share it.

    Each crop is to be read `repeats` times. `claims` counts the worker processes that claimed the entry, this one
    included. `extras` are those that the answer is to have, `trace` the spans of those requests that are sampled.
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
    extras: Extras = Extras.NONE
    trace: bytes = b""

    @property
    def key(self) -> tuple[str, int]:
        """The unique key of this part; two lanes may assign the same `entry` in the same millisecond."""
        return self.id, self.part


@dataclass(frozen=True, slots=True)
class Finished:
    """The answer to one entry; `ended` is the final state of its job when the crops were not run."""

    entry: Entry
    answer: bytes
    ended: str = ""
    problem: str = "null"


@dataclass(frozen=True, slots=True)
class Backlog:
    """Pending work, read in one atomic step. Times are Unix seconds by the clock of Redis.

    Crops that were `claimed` in that step are still counted under `waiting` where they were prefetched.
    """

    waiting: Mapping[str, tuple[int, int, float]]
    """By lane: crops, entries, and the time the oldest came."""
    long_revision: int
    charged: Mapping[str, Charge]
    """By user."""
    now: float
    drain: Drain | None = None
    claimed: Sequence[Entry] = ()
    operations: Mapping[str, tuple[str, str, float]] = field(default_factory=dict)
    """Of programs, by id: session, user, and the time each came."""
    handed: Sequence[Any] | None = None
    """The only operation, if it was claimed already, as `Claimed.of` reads it."""


def backlog_of_bell(rung: bytes) -> Backlog | None:
    """Return the backlog that came with a chip's bell, if one did."""
    return None if rung == b"1" else read_backlog(msgpack.unpackb(rung, raw=True))


def read_backlog(seen: Sequence[Any]) -> Backlog:
    """Return a backlog as the scripts give it."""
    waiting, revision, charged, now, drain, claimed, operations, *handed = seen
    return Backlog(
        waiting={lane.decode(): read_waiting(text) for lane, text in pairs(waiting).items()},
        long_revision=int(revision),
        charged={user.decode(): read_charge(text) for user, text in pairs(charged).items()},
        now=float(now),
        drain=read_drain(drain),
        claimed=read_entries(claimed),
        operations={name.decode(): read_waiting_operation(text) for name, text in pairs(operations).items()},
        handed=handed[0] if handed else None,
    )


def read_waiting_operation(text: bytes) -> tuple[str, str, float]:
    """Return session, user and arrival time, in Unix seconds, of an operation that waits."""
    session, user, accepted_ms = text.decode().split(" ")
    return session, user, int(accepted_ms) / 1000


def read_entries(claimed: Iterable[Sequence[Any]]) -> list[Entry]:
    """Return entries as the scripts give them."""
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
            claims=int(fields[10]),
            extras=Extras(int(fields[11])) if len(fields) > 11 else Extras.NONE,
            trace=fields[12] if len(fields) > 12 else b"",
        )
        for fields in claimed
    ]
