"""How long this process takes to answer."""

from typing import Final

from services.crops.statistics import Distribution

_METHODS: Final = frozenset({"GET", "HEAD", "POST", "PUT", "DELETE", "OPTIONS", "PATCH"})


class RequestTimes:
    """How long requests took, by method, route and status: labels of which there are only so many."""

    def __init__(self) -> None:
        self.distributions: dict[tuple[str, str, int], Distribution] = {}

    def note(self, method: str, route: str | None, status: int, seconds: float, requests: int = 1) -> None:
        """Counts a request, or several; `route` is the rule that its address matched, None when none did."""
        key = (method if method in _METHODS else "other", route or "unmatched", status)
        distribution = self.distributions.get(key)
        if distribution is None:
            distribution = self.distributions.setdefault(key, Distribution())
        distribution.note(seconds, requests)
