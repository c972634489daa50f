"""The chips' time that crops leave to long work, while crops are not simulated one by one."""

from collections.abc import Sequence
from typing import Final

_LEAST: Final = 0.01


class IdleCapacity:
    """The part of its time that a chip has for a long job.

    Where any chip reads any crops, they go to chips that are idle, and only those that find none call a chip away from
    its long work: the overflow of a loss system. Source: Erlang's formula B.

    Args:
        busy: of each chip, the share of its time that was not for long work or programs lately.
        programs: of each chip, the share for programs, whose operations no other chip takes.
        guaranteed: the share that long work keeps in any case.
        any_chip: whether any chip reads any crops.
    """

    def __init__(
        self, busy: Sequence[float], programs: Sequence[float], guaranteed: float, *, any_chip: bool
    ) -> None:
        self._busy = busy
        self._programs = programs
        self._load = sum(busy)
        self._least = max(guaranteed, _LEAST)
        self._any_chip = any_chip
        self._parts: dict[int, float] = {}

    def part(self, chip: int, at_long_work: int) -> float:
        """Return the share of one chip, 0..1, while `at_long_work` chips, it included, are at long work."""
        crops = self._overflow(at_long_work) if self._any_chip else self._busy[chip]
        return min(1.0, max(1 - crops - self._programs[chip], self._least))

    def _overflow(self, at_long_work: int) -> float:
        """Return the share of a chip at long work that crops take which find no idle chip."""
        part = self._parts.get(at_long_work)
        if part is None:
            others = len(self._busy) - at_long_work
            part = self._parts[at_long_work] = self._load * blocking(others, self._load) / at_long_work
        return part


def blocking(servers: int, load: float) -> float:
    """Return the share of calls that find all servers busy: Erlang's formula B.

    Args:
        servers: their number.
        load: calls per second times the seconds of each.
    """
    blocked = 1.0
    for number in range(1, servers + 1):
        blocked = load * blocked / (number + load * blocked)
    return blocked
