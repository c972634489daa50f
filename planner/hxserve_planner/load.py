"""Users in simulated time, with requests and trainings; admission of their work; the load's profile over a day."""

import random
from collections import deque
from collections.abc import Generator
from dataclasses import dataclass
from typing import Any

import simpy

from hxserve_planner.chip_pool import ChipPool
from hxserve_planner.costs import Costs
from hxserve_planner.crop_lanes import ANY, Request
from hxserve_planner.long_queue import Work
from hxserve_planner.operations import MOST_WAITING, Operation
from hxserve_planner.question import Limits, Question
from hxserve_planner.statistics import Statistics
from services.scheduling.policy import LongJob

Steps = Generator[simpy.Event, Any, None]


class Activity:
    """The load at a time: a profile over the hours of a day, constant within each hour."""

    def __init__(self, question: Question) -> None:
        self._start_hour = question.start_hour
        users, letters = question.user_profile, question.letter_profile
        self._users_most, self._users_sum = max(users), sum(users)
        self._users, self._letters, self._letters_most = users, letters, max(letters)

    def hour(self, now: float) -> int:
        """Return the hour of the day."""
        return int(self._start_hour + now / 3600 + 1e-9) % 24

    def of_users(self, now: float) -> float:
        """Return the users' load now, over that of their busiest hour."""
        return self._users[self.hour(now)] / self._users_most if self._users_most else 0.0

    def of_users_per_s(self, now: float) -> float:
        """Return the part of a day's work that users begin per second."""
        return self._users[self.hour(now)] / self._users_sum / 3600 if self._users_sum else 0.0

    def of_letters(self, now: float) -> float:
        """Return the letters' load now, over that of their busiest hour."""
        return self._letters[self.hour(now)] / self._letters_most if self._letters_most else 0.0

    def next_hour_s(self, now: float) -> float:
        """Return the seconds until the hour is over."""
        into_s = (self._start_hour * 3600 + now) % 3600
        return max(3600 - into_s, 1e-3)


class Admission:
    """Admission and refusal of work, in the order of the service's scripts."""

    def __init__(self, pool: ChipPool, limits: Limits, statistics: Statistics) -> None:
        self._pool = pool
        self._limits = limits
        self._statistics = statistics

    def take_crops(self, request: Request, *, has_quotas: bool) -> bool:
        """Take in a request, or count its refusal."""
        pool, limits = self._pool, self._limits
        interval = pool.interval
        if pool.is_watched:
            interval.requests += 1
        own = pool.lanes.crops_of.get(request.user, 0) + request.crops
        if has_quotas and limits.user_max_waiting_crops is not None and own > limits.user_max_waiting_crops:
            why = "max_waiting_crops"
        elif has_quotas and self._has_spent(request.user):
            why = "chip_seconds_per_day"
        elif pool.lanes.crops + request.crops > limits.max_waiting_crops:
            why = "queue_full"
        else:
            pool.send(request)
            return True
        if pool.is_watched:
            interval.refuse(why)
        return False

    def take_operation(self, operation: Operation) -> str | None:
        """Take in an operation, or count its refusal and return the reason."""
        pool = self._pool
        if self._has_spent(operation.user):
            why = "chip_seconds_per_day"
        elif pool.operations.waiting_at(operation.chip) >= MOST_WAITING:
            why = "queue_full"
        else:
            pool.operate(operation)
            return None
        if pool.is_watched:
            refused = pool.interval.operations_refused
            refused[why] = refused.get(why, 0) + 1
        return why

    def take_job(self, work: Work) -> bool:
        """Take in a long job, or count its refusal."""
        pool, limits, user = self._pool, self._limits, work.job.user
        pool.interval.trainings += 1
        if (
            limits.user_max_queued_jobs is not None
            and pool.long.unfinished_of(user) >= limits.user_max_queued_jobs
        ):
            self._statistics.refuse("max_queued_jobs")
        elif self._has_spent(user):
            self._statistics.refuse("chip_seconds_per_day")
        elif pool.long.unfinished >= limits.max_queued_jobs:
            self._statistics.refuse("queue_full")
        else:
            pool.submit(work)
            return True
        return False

    def _has_spent(self, user: str) -> bool:
        most_s = self._limits.user_chip_seconds_per_day
        return most_s is not None and self._pool.used_today.get(user, 0.0) >= most_s


@dataclass(slots=True)
class Gate:
    """The event that crops are simulated again, for processes that wait for it."""

    opens: simpy.Event


@dataclass(frozen=True, slots=True)
class Setting:
    """The chips that work is sent to, with all that decides about it."""

    env: simpy.Environment
    question: Question
    costs: Costs
    pool: ChipPool
    admission: Admission
    gate: Gate


class Source:
    """A sender of work."""

    def __init__(self, setting: Setting) -> None:
        self._env = setting.env
        self._question = setting.question
        self._costs = setting.costs
        self._pool = setting.pool
        self._admission = setting.admission
        self._gate = setting.gate
        self._activity = Activity(setting.question)


class Users(Source):
    """Users that train models and have digits read by them."""

    def __init__(self, setting: Setting) -> None:
        super().__init__(setting)
        self._jobs = 0
        env, question = self._env, self._question
        if question.users and question.requests_per_user_per_hour:
            env.process(self._send(random.Random(f"{question.seed}/requests")))
        if question.users and question.trainings_per_user_per_day:
            env.process(self._train(random.Random(f"{question.seed}/trainings")))

    def _send(self, rng: random.Random) -> Steps:
        question, env = self._question, self._env
        most_per_s = question.users * question.requests_per_user_per_hour / 3600
        while True:
            per_s = most_per_s * self._activity.of_users(env.now)
            left_s = self._activity.next_hour_s(env.now)
            gap_s = rng.expovariate(per_s) if per_s > 0 else left_s
            yield env.timeout(min(gap_s, left_s))
            if not self._pool.is_detailed:
                yield self._gate.opens
            elif gap_s < left_s:
                self._pool.count_event()
                number = rng.randrange(question.users)
                home = number % question.chips if question.bound_to_chips else ANY
                request = Request(
                    f"u{number}",
                    f"u{number}~digits@1",
                    home,
                    question.crops_per_request,
                    env.now,
                    self._answered,
                )
                self._admission.take_crops(request, has_quotas=True)

    def _answered(self, request: Request) -> None:
        if self._pool.is_watched and self._pool.is_detailed:
            interval = self._pool.interval
            interval.waited_s.append(request.begun_at - request.sent_at)
            interval.answered_s.append(self._env.now - request.sent_at)

    def _train(self, rng: random.Random) -> Steps:
        question, env = self._question, self._env
        per_day = question.users * question.trainings_per_user_per_day
        while True:
            per_s = per_day * self._activity.of_users_per_s(env.now)
            left_s = self._activity.next_hour_s(env.now)
            gap_s = rng.expovariate(per_s) if per_s > 0 else left_s
            yield env.timeout(min(gap_s, left_s))
            if gap_s < left_s:
                self._jobs += 1
                job = LongJob(f"{self._jobs:012}", f"u{rng.randrange(question.users)}", env.now)
                left = deque((float(s.steps), s.step_s) for s in self._costs.training)
                self._admission.take_job(Work(job, left))
