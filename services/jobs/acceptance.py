"""Acceptance of requests by the scripts: Idempotency-Keys and limits, and the reasons of a refusal."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

from services.errors import HxserveError, IdempotencyConflictError, QueueFullError
from services.users.quotas import Quotas, quota_exceeded

_LOOK_AGAIN_S: Final = 2.0
KEEP_KEYS_S: Final = 86_400
"""The time for which an Idempotency-Key is remembered."""


@dataclass(frozen=True, slots=True)
class Idempotency:
    """An Idempotency-Key, bound to its user, and the digest of the request it came with."""

    key: str = ""
    digest: str = ""


NO_KEY: Final = Idempotency()


@dataclass(frozen=True, slots=True)
class Accepted:
    """A submission that was accepted: its job's id, and the chips to wake.

    `repeated` says that the Idempotency-Key had been used for the same request, and `id` is that one's.
    """

    id: str
    asleep: tuple[str, ...] = ()
    repeated: bool = False


def refusal(answer: Sequence[Any], most: int, what: str, quotas: Quotas) -> HxserveError:
    """Return why an accepting script refused: `{'conflict'}`, `{'full'}` or `{'quota', name, used[, seconds]}`."""
    if answer[0] == b"conflict":
        return IdempotencyConflictError()
    if answer[0] == b"full":
        return QueueFullError(
            f"the limit of {most} waiting {what} is reached; wait until some are done", retry_after_s=1.0
        )
    quota = answer[1].decode()
    retry_after_s = float(answer[3]) if len(answer) > 3 else _LOOK_AGAIN_S
    return quota_exceeded(quota, getattr(quotas, quota), float(answer[2]), retry_after_s=retry_after_s)


def limit(most: float | None) -> float | str:
    """Encode a limit for scripts."""
    return "" if most is None else most
