"""One chip of a simulation, and the chips that are at long work, of which any may be called away."""

import random
from collections.abc import Generator, Iterator
from dataclasses import dataclass
from typing import Any, Final

import simpy

from hxserve_planner.long_queue import Work
from hxserve_planner.statistics import CHIP_USES, ChipUse
from services.scheduling.meters import ShareMeter

Steps = Generator[simpy.Event, Any, None]

_ASKED: Final = 16
"""Sample size when the chip at long work that gives way soonest is sought."""


@dataclass(slots=True)
class Slice:
    """Long work that a chip is at: since when, and from when on it gives way."""

    work: Work
    began_at: float
    yields_after_s: float
    process: simpy.Process
    is_called: bool = False

    def gives_way_after_s(self, used_s: float) -> float:
        """Return the seconds from its beginning to its end, when it is called after `used_s`."""
        return self.work.span_s(max(used_s, self.yields_after_s))


class Chip:
    """One chip and its worker."""

    def __init__(self, number: int, canary_at: float) -> None:
        self.number = number
        self.meter = ShareMeter()
        self.on_chip: str | None = None
        self.crops_went_last = False
        self.canary_at = canary_at
        self.bell: simpy.Event | None = None
        """The event that an idle chip waits for."""
        self.slice: Slice | None = None
        self.process: simpy.Process | None = None
        self.spent_s: dict[ChipUse, float] = dict.fromkeys(CHIP_USES, 0.0)
        """Its time since the window opened."""


class AtLongWork:
    """The chips that are at long work, and those of them that were called away already."""

    def __init__(self, rng: random.Random) -> None:
        self._rng = rng
        self._chips: list[Chip] = []
        self._place: dict[int, int] = {}

    def __iter__(self) -> Iterator[Chip]:
        return iter(list(self._chips))

    def __len__(self) -> int:
        return len(self._chips)

    def enter(self, chip: Chip) -> None:
        """Note that a chip begins a slice."""
        self._place[chip.number] = len(self._chips)
        self._chips.append(chip)

    def leave(self, chip: Chip) -> None:
        """Note that its slice has ended."""
        chip.slice = None
        place, last = self._place.pop(chip.number), self._chips.pop()
        if last is not chip:
            self._chips[place] = last
            self._place[last.number] = place

    def soonest(self, now: float) -> Chip | None:
        """Return the chip that gives way first, of those that were not called yet."""
        chips = self._chips
        some = chips if len(chips) <= _ASKED else self._rng.sample(chips, _ASKED)

        def ends_at(chip: Chip) -> float:
            assert chip.slice is not None, "it is at long work"
            return chip.slice.began_at + chip.slice.gives_way_after_s(now - chip.slice.began_at)

        return min((c for c in some if c.slice and not c.slice.is_called), key=ends_at, default=None)


def call(chip: Chip | None) -> bool:
    """Call a chip away from long work; False when there is none."""
    if chip is None or chip.slice is None or chip.slice.is_called:
        return False
    chip.slice.is_called = True
    chip.slice.process.interrupt()
    return True
