"""Durations of the requests to this process."""

from typing import Final

from services.crops.statistics import Distribution

_METHODS: Final = frozenset({"GET", "HEAD", "POST", "PUT", "DELETE", "OPTIONS", "PATCH"})


class RequestTimes:
    """Durations of requests by method, route and status, labels with a bounded number of values."""

    def __init__(self) -> None:
        self.distributions: dict[tuple[str, str, int], Distribution] = {}

    def note(self, method: str, route: str | None, status: int, seconds: float) -> None:
        """Record a request; `route` is the rule that its address matched, None without one."""
        key = (method if method in _METHODS else "other", route or "unmatched", status)
        self.distributions.setdefault(key, Distribution()).note(seconds)
