"""The records of a webhook and of its deliveries."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any, Final, Literal, Self

from services.jobs.record import JobKind

Event = Literal["job.succeeded", "job.failed", "job.cancelled", "job.expired"]
"""The events that a webhook may ask for: a job's end, by its final state."""
Told = Literal["job.succeeded", "job.failed", "job.cancelled", "job.expired", "webhook.test"]
"""The events that a delivery tells of."""

JOBS_HOOK: Final = "jobs"
"""The webhook of each user that signs what is sent to addresses that jobs name; `JOBS_HOOK` of the scripts."""

_TIMES: Final = ("created_at", "started_at", "finished_at")


class DeliveryState(StrEnum):
    """The state of a delivery."""

    WAITING = "waiting"
    DELIVERED = "delivered"
    FAILED = "failed"


@dataclass(frozen=True, slots=True)
class Hook:
    """An address that hears of the ends of a user's jobs.

    `url` is None for the webhook of the addresses that jobs name. Without `kinds` it hears of all but classifications.
    `off` is the reason why nothing is sent, and `failing_since` the time since which every try has failed, Unix
    seconds.
    """

    id: str
    url: str | None
    events: tuple[Event, ...]
    kinds: tuple[JobKind, ...]
    description: str
    created_at: float
    off: str | None = None
    failing_since: float | None = None

    @classmethod
    def from_hash(cls, hook_id: str, stored: Mapping[bytes, bytes]) -> Self:
        """Return the webhook that a Redis hash holds, without its secret; '' stands for none."""
        text = {name.decode(): value.decode() for name, value in stored.items() if name != b"secret"}
        events: tuple[Any, ...] = tuple(text["events"].split())
        return cls(
            id=hook_id,
            url=text["url"] or None,
            events=events,
            kinds=tuple(JobKind(kind) for kind in text["kinds"].split()),
            description=text["description"],
            created_at=float(text["at"]),
            off=text["off"] or None,
            failing_since=float(text["failing_since"]) if text["failing_since"] else None,
        )


@dataclass(frozen=True, slots=True)
class Delivery:
    """One message to a webhook, and how far it has come.

    `url` is that which a job names, None for the webhook's own. `job` is None for a test. `status` is that of the last
    answer, `took_ms` the duration of the last try, and `problem` tells in words why it failed. Times are Unix seconds;
    `next_at` is that of the next try.
    """

    id: str
    hook: str
    event: Told
    job: str | None
    url: str | None
    state: DeliveryState
    created_at: float
    tries: int = 0
    tried_at: float | None = None
    next_at: float | None = None
    status: int | None = None
    took_ms: int | None = None
    problem: str | None = None

    @classmethod
    def from_hash(cls, delivery_id: str, stored: Mapping[bytes, bytes]) -> Self:
        """Return the delivery that a Redis hash holds; '' stands for none."""
        text = {name.decode(): value.decode() for name, value in stored.items()}
        event: Any = text["event"]
        return cls(
            id=delivery_id,
            hook=text["hook"],
            event=event,
            job=text["job"] or None,
            url=text["url"] or None,
            state=DeliveryState(text["state"]),
            created_at=float(text["at"]),
            tries=int(text.get("tries", 0)),
            tried_at=float(text["tried_at"]) if "tried_at" in text else None,
            next_at=float(text["next_at"]) if "next_at" in text else None,
            status=int(text["status"]) if text.get("status") else None,
            took_ms=int(text["took_ms"]) if text.get("took_ms") else None,
            problem=text.get("problem") or None,
        )


@dataclass(frozen=True, slots=True)
class Claimed:
    """A delivery that this process is to try, for the `number`-th time."""

    user: str
    hook: str
    id: str
    number: int
    url: str
    secret: str
    body: bytes


@dataclass(frozen=True, slots=True)
class DeliveryCounts:
    """Deliveries ever by their outcome, tries that failed, and those that wait; the age of the oldest in seconds."""

    delivered: int
    failed: int
    failed_tries: int
    waiting: int
    oldest_s: float


def body_of(event: str, at: float, told: str) -> bytes:
    """Return the body of a delivery, the same for each try.

    Args:
        event: that it tells of.
        at: time of the event, Unix seconds.
        told: facts of the job as JSON, with times in Unix seconds.
    """
    facts = json.loads(told)
    for name in _TIMES:
        if facts.get(name) is not None:
            facts[name] = _iso(facts[name])
    document = {"type": event, "timestamp": _iso(at), "data": facts}
    return json.dumps(document, separators=(",", ":")).encode()


def _iso(at: float) -> str:
    return datetime.fromtimestamp(at, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
