"""The chips in simulated time: each looks, lets the real policy choose, does that, and looks again, as a turn does."""

import math
import random
from collections.abc import Generator, Sequence
from dataclasses import replace
from typing import Any, Final, assert_never

import simpy

from hxserve_planner.bells import Bells
from hxserve_planner.chips import Chip, Slice, Steps
from hxserve_planner.costs import PART_CROPS, Costs
from hxserve_planner.crop_lanes import ANY, CropLanes, Request, batches_of
from hxserve_planner.idle_capacity import IdleCapacity
from hxserve_planner.long_queue import Charges, LongQueue, Work
from hxserve_planner.operations import Operation, OperationQueue
from hxserve_planner.statistics import ChipUse, IntervalStatistics, Statistics
from services.scheduling.policy import (
    ClassifyBatch,
    MeasureCanary,
    Policy,
    RunOperation,
    RunSlice,
    Situation,
    Unit,
    next_unit,
)

_NOT_BOUND: Final[Sequence[ChipUse]] = ("crops", "care", "around")
"""Uses beside long work that are not of programs."""
_FLOOD_S: Final = 3.0
"""Long work waiting beside crops or operations for longer is a flood: three half-lives of the policy's memory."""


class ChipPool:
    """All chips, and the crops, operations and long jobs that wait for them.

    While `is_detailed`, every unit is simulated. Otherwise crops and programs stand still: long work alone goes on, in
    longer slices, at the pace that they left it when they were last simulated.

    Args:
        long_quantum_s: How long slices are at least while crops stand still.
        any_chip: Whether any chip reads any crops.

    Attributes:
        events_left: Counts units, requests and letters down; at 0 `window_over` happens.
    """

    def __init__(
        self,
        env: simpy.Environment,
        chips: int,
        costs: Costs,
        policy: Policy,
        statistics: Statistics,
        rng: random.Random,
        *,
        canary_every_s: float = math.inf,
        long_quantum_s: float = 0.0,
        any_chip: bool = True,
    ) -> None:
        self._env = env
        self._costs = costs
        self._policy = policy
        self._long_policy = replace(policy, quantum_s=max(policy.quantum_s, long_quantum_s))
        self._statistics = statistics
        self._canary_every_s = canary_every_s if costs.canary_s > 0 else math.inf
        self.charges = Charges(policy)
        self.lanes = CropLanes(PART_CROPS)
        self.operations = OperationQueue(chips)
        self.long = LongQueue(self.charges)
        self.is_detailed = True
        self.is_watched = True
        self.interval = IntervalStatistics(0.0, 0.0)
        self.events_left = 0
        self.window_over = env.event()
        self.used_today: dict[str, float] = {}
        """Chip seconds by user since midnight."""
        self._any_chip = any_chip
        self._idle_capacity = IdleCapacity(
            [0.0] * chips, [0.0] * chips, policy.long_work_share, any_chip=any_chip
        )
        self._counted_since = 0.0
        self._closed_at = 0.0
        self._charged_s: dict[str, float] = {}
        """Chip seconds of programs by user, since the last reset; a second, when the window is closed."""
        self.chips = [
            Chip(
                number, rng.uniform(0, self._canary_every_s) if self._canary_every_s < math.inf else math.inf
            )
            for number in range(chips)
        ]
        self._bells = Bells(env, self.chips, self.lanes, batch_crops=policy.batch_crops, rng=rng)
        for chip in self.chips:
            chip.process = env.process(self._serve(chip))

    def send(self, request: Request) -> None:
        """Take in crops and ring for them."""
        self.lanes.add(request)
        self._ring_for_crops(request.home)

    def operate(self, operation: Operation) -> None:
        """Take in an operation of a program and ring for it."""
        others = self.operations.users_at(self._env.now)
        if self.operations.add(operation):
            self.long.let_in(operation.user, self._env.now, others)
        if self.is_detailed:
            self._bells.ring_at(operation.chip)

    def submit(self, work: Work) -> None:
        """Take in a long job and ring for it."""
        now = self._env.now
        self.long.submit(work, now, self.operations.users_at(now if self.is_detailed else self._closed_at))
        self._bells.ring()

    def open_window(self) -> None:
        """Simulate crops and programs again; for those that wait no time has passed.

        Programs are charged for the time in between as they were in the last window.
        """
        now, paused_s = self._env.now, self._env.now - self._closed_at
        self.lanes.delay(paused_s)
        self.operations.delay(paused_s)
        for user, per_s in self._charged_s.items():
            self.charges.add_steadily(user, per_s, self._closed_at, now)
            self.used_today[user] = self.used_today.get(user, 0.0) + per_s * paused_s
        self.is_detailed = True
        self.begin_counting()
        self._bells.call_all()
        for home in [home for home, crops in self.lanes.crops_at.items() if crops]:
            self._ring_for_crops(home)
        for chip in self.chips:
            if self.operations.waiting_at(chip.number):
                self._bells.ring_at(chip.number)

    def close_window(self, seconds: float) -> None:
        """Stop simulating crops and programs; long work goes on with the capacity left to it in the last `seconds`."""
        self.is_detailed = False
        self._closed_at = self._env.now
        per_s = 1 / seconds if seconds > 0 else 0.0
        busy = [per_s * sum(chip.spent_s[use] for use in _NOT_BOUND) for chip in self.chips]
        programs = [per_s * chip.spent_s["programs"] for chip in self.chips]
        self._charged_s = {user: per_s * spent_s for user, spent_s in self._charged_s.items()}
        self._idle_capacity = IdleCapacity(
            busy, programs, self._policy.long_work_share, any_chip=self._any_chip
        )
        self._bells.call_all()

    def begin_counting(self) -> None:
        """Reset the chips' times."""
        self._counted_since = self._env.now
        self._charged_s = {}
        for chip in self.chips:
            chip.spent_s = dict.fromkeys(chip.spent_s, 0.0)

    def _serve(self, chip: Chip) -> Steps:
        flooded_since = math.inf
        elapsed_s = worked_s = 0.0
        while True:
            looked_at = self._env.now
            if self.is_detailed:
                yield from self._around(chip, self._costs.look_s)
            unit, is_contended = self._choose(chip)
            if self._env.now - flooded_since > _FLOOD_S and self.is_watched:
                self.interval.flooded_s += elapsed_s
                self.interval.flooded_long_s += worked_s
            if not (is_contended and self.is_detailed):
                flooded_since = math.inf
            elif flooded_since == math.inf:
                flooded_since = self._env.now
            if unit is None:
                due_s = chip.canary_at - self._env.now if self.is_detailed else math.inf
                yield from self._bells.wait(chip, due_s)
                continue
            worked_s = 0.0
            match unit:
                case ClassifyBatch():
                    yield from self._read(chip, unit)
                case RunSlice():
                    worked_s = yield from self._work(chip, unit)
                case MeasureCanary():
                    chip.canary_at = self._env.now + self._canary_every_s
                    yield self._env.timeout(self._costs.canary_s)
                    worked_s = self._costs.canary_s
                    self._spend(chip, "care", worked_s)
                case RunOperation():
                    yield from self._operate(chip, unit)
                case _:
                    assert_never(unit)
            elapsed_s = self._env.now - looked_at
            chip.meter.note(max(0.0, elapsed_s - worked_s), is_long=False)
            chip.meter.note(worked_s, is_long=True)
            self._statistics.units += 1
            self.count_event()

    def _choose(self, chip: Chip) -> tuple[Unit | None, bool]:
        """Choose the next unit; return whether long work waits for the chip beside crops or operations, too."""
        self._bells.note_look()
        waiting = self.lanes.waiting_for(chip.number, chip.on_chip) if self.is_detailed else []
        operations = self.operations.waiting_for(chip.number) if self.is_detailed else []
        works = self.long.candidates(chip.number)
        now = self._env.now
        situation = Situation(
            now=now,
            waiting=waiting,
            jobs=[work.job for work in works],
            charged=self.charges.of(
                [*(work.job.user for work in works), *(each.user for each in operations)]
            ),
            on_chip=chip.on_chip,
            long_share=chip.meter.long_share,
            canary_is_due=self.is_detailed and now >= chip.canary_at,
            operations=operations,
            crops_went_last=chip.crops_went_last,
        )
        unit = next_unit(situation, self._policy if self.is_detailed else self._long_policy)
        if not isinstance(unit, ClassifyBatch) and self.lanes.crops_at.get(ANY):
            self._ring_for_crops(ANY)  # another chip may read them
        return unit, bool((waiting or operations) and works)

    def _read(self, chip: Chip, unit: ClassifyBatch) -> Steps:
        parts = self.lanes.claim(chip.number, unit.reference, unit.grants)
        if self.lanes.crops_at.get(ANY):
            self._ring_for_crops(ANY)
        for part in parts:
            part.request.begun_at = self._env.now
        yield from self._around(chip, self._costs.store_s)
        chip.on_chip, chip.crops_went_last = unit.reference, True
        for batch in batches_of(parts, self._policy.batch_crops):
            crops = sum(part.crops for part in batch)
            chip_s = self._costs.call_of(crops)
            yield self._env.timeout(chip_s)
            self._spend(chip, "crops", chip_s)
            if self.is_watched:
                self.interval.crops += crops
            for part in batch:
                self._charge(part.request.user, chip_s * part.crops / crops)
                part.request.parts_left -= 1
                if not part.request.parts_left:
                    part.request.answered(part.request)

    def _operate(self, chip: Chip, unit: RunOperation) -> Steps:
        operation = self.operations.take(chip.number, unit.operation_id, self._env.now)
        chip.crops_went_last = False
        yield self._env.timeout(operation.chip_s)
        self._spend(chip, "programs", operation.chip_s)
        self._charge(operation.user, operation.chip_s)
        self._charged_s[operation.user] = self._charged_s.get(operation.user, 0.0) + operation.chip_s
        yield from self._around(chip, self._costs.store_s)
        operation.answered.succeed()

    def _work(self, chip: Chip, unit: RunSlice) -> Generator[simpy.Event, Any, float]:
        work = next(w for w in self.long.candidates(chip.number) if w.job.id == unit.job_id)
        if work.chip is None:
            self.long.take_up(work, chip.number, self._env.now)
            self._statistics.began_s.append(self._env.now - work.job.created_at)
            if self.is_detailed:
                yield self._env.timeout(self._costs.fixed_s / 2)
        was_detailed, began_at = self.is_detailed, self._env.now
        part = (
            1.0 if was_detailed else self._idle_capacity.part(chip.number, len(self._bells.at_long_work) + 1)
        )
        # Crops and operations that came since the chip looked have rung already.
        is_called = self.lanes.readable(chip.number) or self.operations.waiting_at(chip.number)
        at_least_s = unit.yields_after_s if is_called else unit.quantum_s
        whole_s = work.span_s(at_least_s) if was_detailed else min(unit.quantum_s, work.left_s / part)
        assert chip.process is not None, "a chip that works is served by its process"
        current = chip.slice = Slice(work, began_at, unit.yields_after_s, chip.process)
        self._bells.at_long_work.enter(chip)
        try:
            yield self._env.timeout(whole_s)
        except simpy.Interrupt:
            if was_detailed and self.is_detailed:
                used_s = self._env.now - began_at
                whole_s = min(whole_s, current.gives_way_after_s(used_s))
                yield self._env.timeout(max(0.0, whole_s - used_s))
        self._bells.at_long_work.leave(chip)
        worked_s = (self._env.now - began_at) * part
        work.do(worked_s)
        self._charge(work.job.user, worked_s)
        self.interval.long_s += worked_s
        self._spend(chip, "long", worked_s)
        if not work.left:
            if self.is_detailed:
                yield self._env.timeout(self._costs.fixed_s / 2)
            self.long.finish(work)
            assert work.began_at is not None, "a finished job was begun"
            self._statistics.note_end(work.job.created_at, work.began_at, self._env.now)
        return worked_s

    def _around(self, chip: Chip, seconds: float) -> Steps:
        if seconds > 0:
            yield self._env.timeout(seconds)
            self._spend(chip, "around", seconds)

    def _ring_for_crops(self, home: int) -> None:
        if self.is_detailed:
            self._bells.ring_for_crops(home)

    def _charge(self, user: str, seconds: float) -> None:
        self.charges.add(user, seconds, self._env.now)
        self.used_today[user] = self.used_today.get(user, 0.0) + seconds

    def _spend(self, chip: Chip, use: ChipUse, seconds: float) -> None:
        """Add `seconds` to a use of the chip, from the last reset on."""
        counted_s = min(seconds, self._env.now - self._counted_since)
        chip.spent_s[use] += counted_s
        if self.is_watched and self.is_detailed:
            self.interval.spent_s[use] += counted_s

    def count_event(self) -> None:
        """Count an event: a unit, a request or a letter."""
        self.events_left -= 1
        if self.events_left == 0 and not self.window_over.triggered:
            self.window_over.succeed()
