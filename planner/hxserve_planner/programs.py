"""Programs in simulated time: each sends an operation, waits for its answer, computes at home, and sends the next."""

import random
from collections.abc import Generator, Iterator
from itertools import cycle
from typing import Any, Final

import simpy

from hxserve_planner.load import Setting, Source
from hxserve_planner.operations import Operation

Steps = Generator[simpy.Event, Any, None]

_PAUSE_S: Final = 1.0
"""Wait of a client after a temporary refusal, as in the service's Retry-After."""


class Programs(Source):
    """Programs of different users, as far as there are so many, on the chips in turn; times at home are exponential."""

    def __init__(self, setting: Setting) -> None:
        super().__init__(setting)
        for number in range(self._question.programs):
            self._env.process(self._run(number))

    def _run(self, number: int) -> Steps:
        env, pool = self._env, self._pool
        operations = self._operations(number)
        rng = random.Random(f"{self._question.seed}/program/{number}")
        home_s = self._question.program_home_ms / 1000
        while True:
            yield from self._come(number)
            operation = next(operations)
            operation.sent_at = env.now
            why = self._admission.take_operation(operation)
            if why is not None:
                again_s = _PAUSE_S if why == "queue_full" else self._activity.next_hour_s(env.now)
                yield env.timeout(again_s)
                continue
            yield operation.answered
            if pool.is_watched and pool.is_detailed:
                pool.interval.operations_s.append(env.now - operation.sent_at)
            if home_s > 0:
                yield env.timeout(rng.expovariate(1 / home_s))

    def _operations(self, number: int) -> Iterator[Operation]:
        """Give the operations of a program, one forward pass after the other."""
        question = self._question
        user = f"u{number % question.users if question.users else number}"
        for place, chip_s in enumerate(cycle(self._costs.operations_s)):
            yield Operation(
                f"{number}:{place}", user, number % question.chips, chip_s, 0.0, self._env.event()
            )

    def _come(self, number: int) -> Steps:
        """Wait until a program of this number is in the loop, and operations are simulated."""
        env = self._env
        while True:
            if number + 0.5 > self._question.programs * self._activity.of_users(env.now):
                yield env.timeout(self._activity.next_hour_s(env.now))
            elif not self._pool.is_detailed:
                yield self._gate.opens
            else:
                return
