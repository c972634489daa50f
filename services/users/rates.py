"""Limits of the request rate of each user in one API process."""

import time
from collections.abc import Callable
from typing import Final

from services.users.authentication import User
from services.users.quotas import quota_exceeded

_BURST_S: Final = 2.0


class RequestRates:
    """A token bucket for each user: it holds the requests of two seconds, and fills at the allowed rate.

    Kept in the process, so that no request costs a round trip to Redis for it; with n API processes a user may
    send up to n times as much.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._filled: dict[str, tuple[float, float]] = {}

    def admit(self, user: User) -> None:
        """Count one request.

        Raises:
            QuotaExceededError: the user has sent too many lately.
        """
        rate = user.quotas.requests_per_second
        if rate is None:
            return
        now, most = self._clock(), max(1.0, rate * _BURST_S)
        content, at = self._filled.get(user.name, (most, now))
        content = min(most, content + (now - at) * rate)
        if content < 1:
            self._filled[user.name] = content, now
            raise quota_exceeded("requests_per_second", rate, rate, retry_after_s=(1 - content) / rate)
        self._filled[user.name] = content - 1, now
