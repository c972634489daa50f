"""A simulated day: windows in which every unit of the chips is simulated, and between them long work alone.

Crops and operations take milliseconds and trainings minutes. To know how crops and programs fare in an hour a part of
it is enough, if what waits is carried on from one part to the next; of trainings every one is simulated. If a window
reaches to the end of its interval, nothing is left out. See docs/decisions/0019-capacity-by-simulation.md.
"""

import math
import random
from collections.abc import Callable, Generator
from dataclasses import dataclass
from typing import Any, Final

import simpy

from hxserve_planner.chip_pool import ChipPool
from hxserve_planner.costs import Costs, costs_of
from hxserve_planner.letter_centre import Centre
from hxserve_planner.load import Admission, Gate, Setting, Users
from hxserve_planner.programs import Programs
from hxserve_planner.question import Question
from hxserve_planner.statistics import IntervalStatistics, Statistics
from services.scheduling.policy import Policy

Steps = Generator[simpy.Event, Any, None]

_WARM_UP: Final = 0.25
"""The part of a window after a pause that is not counted, for the chips to be as busy as they were."""
_LEAST_WINDOW_S: Final = 3.0
_DAY_S: Final = 86_400.0


@dataclass(frozen=True, slots=True)
class Simulated:
    """The result of a simulation."""

    question: Question
    costs: Costs
    statistics: Statistics
    detailed_s: float
    long_quantum_s: float


class Simulation:
    """One run of a question."""

    def __init__(self, question: Question, on_progress: Callable[[float], None] = lambda _: None) -> None:
        self._question = question
        self._on_progress = on_progress
        self._costs = costs_of(question)
        self._seconds = question.hours * 3600
        self._count = math.ceil(question.hours - 1e-9)
        self._env = env = simpy.Environment()
        self._statistics = statistics = Statistics()
        self._long_quantum_s = max(
            question.quantum_s, min(60.0, question.chips * self._seconds / question.events)
        )
        policy = Policy(
            batch_crops=question.batch_crops,
            quantum_s=question.quantum_s,
            long_work_share=question.long_work_share,
        )
        self._pool = pool = ChipPool(
            env,
            question.chips,
            self._costs,
            policy,
            statistics,
            random.Random(f"{question.seed}/chips"),
            canary_every_s=question.canary_every_s,
            long_quantum_s=self._long_quantum_s,
            any_chip=not question.bound_to_chips,
        )
        self._gate = gate = Gate(env.event())
        admission = Admission(pool, question.limits, statistics)
        setting = Setting(env, question, self._costs, pool, admission, gate)
        Users(setting)
        Programs(setting)
        centres = math.ceil(question.letters_per_hour / question.letters_per_centre - 1e-9)
        self._centres = [
            Centre(setting, number, question.letters_per_hour / centres) for number in range(centres)
        ]
        self._detailed_s = 0.0
        self._closed_at = 0.0
        env.process(self._forget_used())

    def run(self) -> Simulated:
        """Run the simulation to its end."""
        self._env.run(until=self._env.process(self._direct()))
        now, long = self._env.now, self._pool.long
        self._statistics.unfinished = long.unfinished
        self._statistics.unbegun = [now - work.job.created_at for work in long.waiting_jobs()]
        return Simulated(
            self._question, self._costs, self._statistics, self._detailed_s, self._long_quantum_s
        )

    def _direct(self) -> Steps:
        length_s = self._seconds / self._count
        for number in range(self._count):
            interval = IntervalStatistics(number * length_s / 3600, length_s)
            self._statistics.intervals.append(interval)
            self._pool.interval = interval
            yield from self._interval(interval, (number + 1) * length_s)
            interval.queue_jobs = self._pool.long.unfinished
            interval.queue_crops = self._pool.lanes.crops
            self._on_progress((number + 1) / self._count)

    def _interval(self, interval: IntervalStatistics, ends_at: float) -> Steps:
        env, pool = self._env, self._pool
        events = max(1, self._question.events // self._count)
        opened_at = env.now
        if not pool.is_detailed:
            pool.is_watched = False
            self._open_window()
            yield from self._watch(round(_WARM_UP * events), _WARM_UP * _LEAST_WINDOW_S, ends_at)
            pool.is_watched = True
        pool.begin_counting()
        watched_at = env.now
        yield from self._watch(events, _LEAST_WINDOW_S, ends_at)
        interval.watched_s = env.now - watched_at
        self._detailed_s += env.now - opened_at
        if env.now < ends_at:
            self._closed_at = env.now
            self._gate.opens = env.event()
            pool.close_window(interval.watched_s)
            yield env.timeout(ends_at - env.now)

    def _watch(self, events: int, least_s: float, ends_at: float) -> Steps:
        """Simulate until `events` events have happened and `least_s` is over, at most until `ends_at`."""
        env, pool = self._env, self._pool
        pool.events_left, pool.window_over = events, env.event()
        least_at = min(env.now + least_s, ends_at)
        yield pool.window_over | env.timeout(ends_at - env.now)
        if env.now < least_at:
            yield env.timeout(least_at - env.now)

    def _open_window(self) -> None:
        paused_s = self._env.now - self._closed_at
        for centre in self._centres:
            centre.delay(paused_s)
        self._pool.open_window()
        self._gate.opens.succeed()
        for centre in self._centres:
            centre.resume()

    def _forget_used(self) -> Steps:
        into_s = self._question.start_hour * 3600
        while True:
            yield self._env.timeout(_DAY_S - into_s)
            into_s = 0.0
            self._pool.used_today.clear()


def simulate(question: Question, on_progress: Callable[[float], None] = lambda _: None) -> Simulated:
    """Run a question's load on its chips in simulated time."""
    return Simulation(question, on_progress).run()
