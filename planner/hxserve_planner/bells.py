"""The bells of the chips: idle chips wait for theirs, and those at long work are called away."""

import math
import random
from collections.abc import Sequence

import simpy

from hxserve_planner.chips import AtLongWork, Chip, Steps, call
from hxserve_planner.crop_lanes import ANY, CropLanes


class Bells:
    """Calls chips to look for work.

    Attributes:
        at_long_work: The chips that can be called away from long work.
    """

    def __init__(
        self,
        env: simpy.Environment,
        chips: Sequence[Chip],
        lanes: CropLanes,
        *,
        batch_crops: int,
        rng: random.Random,
    ) -> None:
        self._env = env
        self._chips = chips
        self._lanes = lanes
        self._batch_crops = batch_crops
        self.at_long_work = AtLongWork(rng)
        self._idle: dict[int, Chip] = {}
        self._called = 0
        """Chips that were called for crops that any chip may read, since a chip last looked."""

    def wait(self, chip: Chip, due_s: float) -> Steps:
        """Let an idle chip wait for its bell, at most `due_s`."""
        chip.bell = self._env.event()
        self._idle[chip.number] = chip
        if due_s < math.inf:
            yield chip.bell | self._env.timeout(max(0.0, due_s))
        else:
            yield chip.bell
        self._idle.pop(chip.number, None)
        chip.bell = None

    def note_look(self) -> None:
        """Note that a chip looks for work."""
        self._called = 0

    def ring(self) -> bool:
        """Call an idle chip, else the one at long work that gives way soonest; return whether there was one."""
        if self._idle:
            self._wake(next(iter(self._idle.values())))
            return True
        return call(self.at_long_work.soonest(self._env.now))

    def ring_at(self, number: int) -> None:
        """Call one chip, from its rest or from long work."""
        chip = self._chips[number]
        if chip.bell is not None:
            self._wake(chip)
        else:
            call(chip)

    def ring_for_crops(self, home: int) -> None:
        """Call enough chips for the waiting crops of a home: idle ones, else those that give way soonest."""
        if home != ANY:
            self.ring_at(home)
            return
        wanted = -(-self._lanes.crops_at[ANY] // self._batch_crops)
        while wanted > self._called and self.ring():
            self._called += 1

    def call_all(self) -> None:
        """Call all chips away from long work."""
        for chip in self.at_long_work:
            call(chip)

    def _wake(self, chip: Chip) -> None:
        assert chip.bell is not None, "an idle chip waits for its bell"
        self._idle.pop(chip.number, None)
        if not chip.bell.triggered:
            chip.bell.succeed()
