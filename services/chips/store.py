"""Chips in Redis: leases with fencing numbers, bells and wake-ups."""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, Literal

from services.crops.lanes import read_waiting
from services.errors import LeaseHeldError, NotFoundError
from services.store import keys
from services.store.connection import Connection


@dataclass(frozen=True, slots=True)
class Lease:
    """The right to a chip; every write of the worker carries its fencing number."""

    chip: str
    fence: int
    holder: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Drain:
    """The drain of a chip: running long jobs pause or finish, as `running` says; new ones wait.

    `since` is in Unix seconds; `user` is the admin that requested the drain.
    """

    message: str
    running: Literal["pause", "finish"]
    user: str
    since: float


@dataclass(frozen=True, slots=True)
class ChipRecord:
    """The record of a chip: its holder, the state of its session, and its drain."""

    chip: str
    holder: Mapping[str, Any] | None
    since: float | None
    status: Mapping[str, Any]
    drain: Drain | None = None

    @property
    def state(self) -> Literal["ready", "drifted", "lost", "starting", "absent"]:
        """`ready` when a worker holds the lease and its session passed the self-test; `drifted` chips serve too.

        A `lost` chip has a worker that tries to reach it again.
        """
        if self.holder is None:
            return "absent"
        if not self.status.get("ready"):
            return "starting"
        if self.status.get("connected") is False:
            return "lost"
        return "drifted" if self.status.get("drifted") else "ready"

    @property
    def is_serving(self) -> bool:
        """Whether the chip takes work."""
        return self.state in {"ready", "drifted"}


class ChipStore:
    """Leases, bells and wake-ups."""

    def __init__(self, connection: Connection, *, lease_s: float) -> None:
        self._connection = connection
        self._lease_ms = int(lease_s * 1000)

    def take(self, chip: str, holder: Mapping[str, Any], *, dead: Mapping[str, Any] | None = None) -> Lease:
        """Take a chip's lease.

        `dead` is a holder known to be dead, whose lease need not run out.

        Raises:
            LeaseHeldError: another worker holds it.
        """
        answer = self._connection.run(
            "chips/take_lease", chip, self._lease_ms, json.dumps(holder), json.dumps(dead) if dead else ""
        )
        if answer[0] == b"held":
            raise LeaseHeldError(f"chip {chip} is held by {answer[1].decode()}; one chip has one worker")
        return Lease(chip, int(answer[1]), holder)

    def renew(self, lease: Lease, status: Mapping[str, Any]) -> bool:
        """Renew the lease, also after it ran out if no other worker took it; return whether work waits.

        Raises:
            LeaseLostError: another worker has it.
        """
        return bool(
            self._connection.run(
                "chips/renew_lease",
                lease.chip,
                lease.fence,
                self._lease_ms,
                json.dumps(lease.holder),
                json.dumps(status),
            )
        )

    def release(self, lease: Lease) -> None:
        """Release the lease.

        Raises:
            LeaseLostError: another worker has it already.
        """
        self._connection.run("chips/release_lease", lease.chip, lease.fence)

    def records(self) -> list[ChipRecord]:
        """Return all chips that have or had a worker."""
        chips: Any = self._connection.client.smembers(keys.CHIPS)
        return [self.record(chip.decode()) for chip in sorted(chips)]

    def absent(self) -> list[str]:
        """Return chips that had a worker and have none now."""
        known: Any = self._connection.client.smembers(keys.CHIPS)
        with self._connection.client.pipeline(transaction=False) as pipeline:
            for chip in known:
                pipeline.exists(keys.chip_key(chip.decode(), "lease"))
            present = pipeline.execute()
        return sorted(chip.decode() for chip, here in zip(known, present, strict=True) if not here)

    def identifiers(self) -> dict[str, str]:
        """Return the last known hardware identifier of each chip, also of those without a worker."""
        stored: Any = self._connection.client.hgetall(keys.IDENTIFIERS)
        return {chip.decode(): identifier.decode() for chip, identifier in stored.items()}

    def record(self, chip: str) -> ChipRecord:
        """Return the record of one chip."""
        with self._connection.client.pipeline(transaction=False) as pipeline:
            pipeline.hgetall(keys.chip_key(chip, "lease"))
            pipeline.get(keys.chip_key(chip, "drain"))
            stored, drain = pipeline.execute()
        if not stored:
            return ChipRecord(chip, None, None, {}, read_drain(drain))
        return ChipRecord(
            chip,
            json.loads(stored[b"holder"]),
            float(stored[b"since"]),
            json.loads(stored.get(b"status", b"{}")),
            read_drain(drain),
        )

    def set_drain(self, chip: str, drain: Drain | None) -> tuple[str, ...]:
        """Set the drain of a chip, or end it with None; it outlives the worker. Returns the chips to wake.

        Raises:
            NotFoundError: no worker ever held such a chip.
        """
        known, asleep = self._connection.run(
            "chips/set_drain", chip, json.dumps(asdict(drain)) if drain else ""
        )
        if not known:
            raise NotFoundError(f"there is no chip {chip!r}; `GET /v1/chip` lists what there is")
        return tuple(name.decode() for name in asleep)

    def waiting_crops(self) -> int:
        """Return the number of crops that no worker has claimed yet."""
        return sum(crops for crops, _, _ in self._waiting())

    def oldest_waiting_at(self) -> float | None:
        """Return the arrival time of the oldest unclaimed crop; None without one."""
        return min((oldest_at for _, _, oldest_at in self._waiting()), default=None)

    def _waiting(self) -> list[tuple[int, int, float]]:
        stored: Any = self._connection.client.hvals(keys.WAITING)
        return [read_waiting(text) for text in stored]

    def wait_for_bell(self, chip: str, timeout_s: float) -> bytes | None:
        """Wait for the chip's bell; return the value it was rung with, or None after the time-out."""
        rung = self._connection.execute("BLPOP", keys.chip_key(chip, "bell"), timeout_s)
        return rung[1] if rung else None

    def bell_rang(self, chip: str) -> bool:
        """Return whether something came since the last backlog; cheap enough to ask between two mini-batches."""
        return bool(self._connection.execute("EXISTS", keys.chip_key(chip, "bell")))

    def end_turn(self, lease: Lease) -> bool:
        """End a turn; return whether work is left, so that another wake-up has to be sent.

        Raises:
            LeaseLostError: the worker no longer holds the chip.
        """
        return bool(self._connection.run("chips/end_turn", lease.chip, lease.fence))


def read_drain(text: bytes | None) -> Drain | None:
    """Decode a stored drain."""
    return Drain(**json.loads(text)) if text else None
