"""Quotas of one user: waiting work, chip time per day, requests and operations per second, kept crops."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, fields
from typing import Any, Final

from services.errors import QuotaExceededError

_SAID: Final[Mapping[str, str]] = {
    "max_queued_jobs": "unfinished jobs; wait until one is done, or cancel one",
    "max_waiting_crops": "waiting crops; wait until some are read, or send fewer at a time",
    "chip_seconds_per_day": "seconds of chip time in a day (UTC); go on tomorrow, or ask an admin for more",
    "requests_per_second": "requests per second; send several crops in one request",
    "operations_per_second": "operations per second; multiply larger batches",
    "operation_bytes_per_second": "bytes of operations per second; name kept weights instead of sending them again",
    "kept_crops": "crops kept for correction; send fewer at a time, or without keep",
    "open_corrections": "open corrections; close them into a data set, or delete some",
    "dataset_bytes": "bytes of data sets and their uploads; delete some that nobody needs",
}


@dataclass(frozen=True, slots=True)
class Quotas:
    """Limits of one user; None is no limit."""

    max_queued_jobs: int | None = None
    max_waiting_crops: int | None = None
    chip_seconds_per_day: float | None = None
    requests_per_second: float | None = None
    operations_per_second: float | None = None
    operation_bytes_per_second: float | None = None
    kept_crops: int | None = None
    open_corrections: int | None = None
    dataset_bytes: int | None = None

    def with_own(self, own: Mapping[str, float | None]) -> "Quotas":
        """Return these quotas, with a user's own in place of the defaults."""
        return Quotas(**{**dict(self.items()), **own}) if own else self

    def items(self) -> Iterator[tuple[str, Any]]:
        """Return each limit with its name."""
        return ((field.name, getattr(self, field.name)) for field in fields(self))


UNLIMITED: Final = Quotas()
QUOTA_NAMES: Final = tuple(field.name for field in fields(Quotas))


def _number(amount: float | None) -> str:
    """Format an amount; large ones without an exponent."""
    return f"{amount:.0f}" if amount is not None and amount >= 1e6 else f"{amount:g}"


def quota_exceeded(
    quota: str, limit: float | None, used: float, *, retry_after_s: float
) -> QuotaExceededError:
    """Return the error for an exceeded quota; `used` does not include the refused request."""
    return QuotaExceededError(
        f"your limit is {_number(limit)} {_SAID[quota]} ({_number(used)} used)",
        retry_after_s=retry_after_s,
        facts={"quota": quota, "limit": limit, "used": used},
    )
