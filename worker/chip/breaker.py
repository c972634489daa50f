"""A circuit breaker: it keeps a connection that fails from being tried again and again."""

import time
from collections.abc import Callable


class Breaker:
    """Closed while all is well; after a failure open for a pause, which doubles with each further failure.

    When the pause is over one try is allowed (half open): its success closes the breaker, its failure opens it
    for longer.
    """

    def __init__(
        self,
        *,
        first_pause_s: float = 2.0,
        longest_pause_s: float = 60.0,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._first_pause_s = first_pause_s
        self._longest_pause_s = longest_pause_s
        self._clock = clock
        self._pause_s = 0.0
        self._until = 0.0

    @property
    def is_closed(self) -> bool:
        """Whether the last attempt succeeded."""
        return self._pause_s == 0.0

    @property
    def wait_s(self) -> float:
        """Seconds until the next try is allowed; 0 when it is."""
        return 0.0 if self.is_closed else max(0.0, self._until - self._clock())

    def note_failure(self) -> None:
        """Open the breaker, or keeps it open for longer."""
        self._pause_s = min(self._longest_pause_s, 2 * self._pause_s or self._first_pause_s)
        self._until = self._clock() + self._pause_s

    def note_success(self) -> None:
        """Close the breaker."""
        self._pause_s = 0.0
