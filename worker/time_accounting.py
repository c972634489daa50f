"""Time accounting of a worker: every second counts for exactly one activity."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Literal

Doing = Literal[
    "chip", "care", "choosing", "records", "saves", "taking_up", "trials", "idle", "between_turns"
]
"""An activity of a worker.

`chip`: work for users, a batch or a mini-batch with all its arithmetic. `care`: chip maintenance.
`choosing`: looking and deciding, and the Python between units. `records`: claiming crops, storing answers, writing
job records. `saves`: states and versions to disk. `taking_up`: building a training. `trials`: candidates of
rollouts. `idle`: nothing waits.
`between_turns`: Celery.
"""


class TimeAccount:
    """Sums a process's time by activity; a nested activity counts for itself alone."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._spent: dict[Doing, float] = {}
        self._doing: Doing = "between_turns"
        self._since = clock()

    @contextmanager
    def doing(self, what: Doing) -> Iterator[None]:
        """Record the time of a `with` block as one activity."""
        before = self._switch(what)
        try:
            yield
        finally:
            self._switch(before)

    def spent_s(self) -> dict[str, float]:
        """Return the seconds by activity, up to the last change; safe from any thread."""
        return {name: round(seconds, 3) for name, seconds in list(self._spent.items())}

    def _switch(self, what: Doing) -> Doing:
        now, before = self._clock(), self._doing
        self._spent[before] = self._spent.get(before, 0.0) + now - self._since
        self._doing, self._since = what, now
        return before
