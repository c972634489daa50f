"""Limits of the rates of each user in one API process: of requests, of operations and their bytes."""

import time
from collections.abc import Callable
from typing import Final, Literal

from services.users.authentication import User
from services.users.quotas import quota_exceeded

_BURST_S: Final = 2.0

Rate = Literal["requests_per_second", "operations_per_second", "operation_bytes_per_second"]
"""The quotas that are rates."""


class Rates:
    """A token bucket for each user and rate: it holds what is allowed in two seconds, and fills at the allowed rate.

    What is larger than a bucket takes a full one, and what it lacks from the time after.

    Kept in the process, so that no request costs a round trip to Redis for it; with n API processes a user may
    send up to n times as much.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._filled: dict[tuple[str, Rate], tuple[float, float]] = {}

    def admit(self, user: User, quota: Rate = "requests_per_second", amount: float = 1.0) -> None:
        """Count a request, an operation or its bytes.

        Raises:
            QuotaExceededError: the user has sent too many lately.
        """
        rate: float | None = getattr(user.quotas, quota)
        if rate is None:
            return
        now, most = self._clock(), max(1.0, rate * _BURST_S)
        content, at = self._filled.get((user.name, quota), (most, now))
        content = min(most, content + (now - at) * rate)
        needed = min(amount, most)
        if content < needed:
            self._filled[user.name, quota] = content, now
            raise quota_exceeded(quota, rate, rate, retry_after_s=(needed - content) / rate)
        self._filled[user.name, quota] = content - amount, now
