"""A long job that only counts its steps."""

from collections.abc import Callable
from typing import Any

from worker.activities import Activity


class Counting(Activity):
    """An activity that keeps its position like a training does; `on_step` may do anything in a step."""

    def __init__(self, steps: int, on_step: Callable[[int], None] = lambda _: None, start: int = 0) -> None:
        self.steps_total = steps
        self._on_step = on_step
        self._done = start
        self.saved: list[int] = []
        self.refusals: list[Exception] = []
        """Raised, one after the other, by what writes to the disk."""

    @property
    def steps_done(self) -> int:
        """Steps run."""
        return self._done

    @property
    def execution(self) -> str:
        """Mock arithmetic, as good as any."""
        return "mock"

    def step(self) -> None:
        """Counts one."""
        self._on_step(self._done)
        self._done += 1

    def metrics(self) -> dict[str, Any]:
        """The position."""
        return {"step": self._done}

    def save(self) -> None:
        """Keeps the position."""
        self._refuse()
        self.saved.append(self._done)

    def complete(self) -> dict[str, Any]:
        """The number of steps."""
        self._refuse()
        return {"counted": self._done}

    def keep_part(self) -> dict[str, Any] | None:
        """What was counted so far."""
        return {"counted": self._done, "partial": True} if self._done else None

    def _refuse(self) -> None:
        if self.refusals:
            raise self.refusals.pop(0)
