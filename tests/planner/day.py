"""Small chip pools and days for the tests of the simulation."""

import random
from collections import deque
from collections.abc import Generator, Sequence
from itertools import cycle
from typing import Any

import simpy

from hxserve_planner.chip_pool import ChipPool
from hxserve_planner.costs import Costs, StepBlock
from hxserve_planner.crop_lanes import ANY, Request
from hxserve_planner.long_queue import Work
from hxserve_planner.operations import Operation
from hxserve_planner.statistics import IntervalStatistics, Statistics
from services.scheduling.policy import LongJob, Policy

Steps = Generator[simpy.Event, Any, None]


def costs(call_s: float = 0.01, crop_s: float = 0.0, around_s: float = 0.0, step_s: float = 0.1) -> Costs:
    """Costs with nothing hidden in them."""
    return Costs(call_s, crop_s, around_s, around_s, (StepBlock(10, step_s),), 0.0, 0.0, {})


class Day:
    """A pool with a load that is known beforehand, run to its end."""

    def __init__(self, chips: int = 1, cost: Costs | None = None, policy: Policy | None = None) -> None:
        self.env = simpy.Environment()
        self.statistics = Statistics()
        self.costs = cost or costs()
        self.pool = ChipPool(
            self.env, chips, self.costs, policy or Policy(), self.statistics, random.Random(0)
        )
        self.pool.interval = IntervalStatistics(0.0, 1.0)
        self.operations: list[tuple[str, float]] = []
        """User and time to the answer of each operation, in the order of the answers."""
        self.waits: list[float] = []
        self.answered: list[Request] = []
        self._programs = 0

    def send(self, requests: Sequence[tuple[float, str, int]], home: int = ANY) -> None:
        """Sends (seconds, user, crops) when it is time."""

        def steps() -> Steps:
            for at, user, crops in sorted(requests):
                yield self.env.timeout(max(0.0, at - self.env.now))
                reference = "m@1" if home == ANY else f"m@1@{home}"
                self.pool.send(Request(user, reference, home, crops, self.env.now, self._note))

        self.env.process(steps())

    def train(self, jobs: Sequence[tuple[float, str, int]]) -> None:
        """Submits trainings of (seconds, user, mini-batches) when it is time."""

        def steps() -> Steps:
            for number, (at, user, count) in enumerate(sorted(jobs)):
                yield self.env.timeout(max(0.0, at - self.env.now))
                left = deque([(float(count), self.costs.training[0].step_s)])
                self.pool.submit(Work(LongJob(f"{number:04}", user, self.env.now), left))

        self.env.process(steps())

    def compute(
        self, user: str, chip_s: Sequence[float], home_s: float = 0.0, since: float = 0.0, until: float = 10.0
    ) -> None:
        """Runs a program on the first chip, whose operations take these times in turn, while it is so late."""

        def steps() -> Steps:
            yield self.env.timeout(since)
            for place, seconds in enumerate(cycle(chip_s)):
                if self.env.now >= until:
                    return
                began = self.env.now
                operation = Operation(f"{number}:{place:06}", user, 0, seconds, began, self.env.event())
                self.pool.operate(operation)
                yield operation.answered
                self.operations.append((user, self.env.now - began))
                yield self.env.timeout(home_s)

        self._programs += 1
        number = self._programs
        self.env.process(steps())

    def run(self) -> "Day":
        """Runs until nothing is left to do."""
        self.env.run()
        return self

    @property
    def spent_s(self) -> float:
        """Chip time of all chips."""
        return sum(self.pool.interval.spent_s.values())

    def _note(self, request: Request) -> None:
        self.answered.append(request)
        self.waits.append(request.begun_at - request.sent_at)
