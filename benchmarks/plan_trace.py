"""A load of requests and trainings at fixed times, for a running service and for the simulation."""

import random
import time
from collections import deque
from collections.abc import Generator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final

import simpy

from benchmarks.service import Service
from hxserve_planner.chip_pool import ChipPool
from hxserve_planner.costs import Costs
from hxserve_planner.crop_lanes import ANY, Request
from hxserve_planner.long_queue import Work
from hxserve_planner.statistics import IntervalStatistics, Statistics
from services.scheduling.policy import LongJob, Policy

MODEL: Final = "digits"
TRAINING: Final[dict[str, Any]] = {
    "recipe": "notebook",
    "dataset": "digits",
    "execution": "chip",
    "epochs": 1,
}
_CONNECTIONS: Final = 24
_SMALL_PER_S: Final = 6.0
_LARGE_PER_S: Final = 0.8
_LARGE: Final = 64
_USERS: Final = 4
_TRAINING_EVERY_S: Final = 5.0

Steps = Generator[simpy.Event, Any, None]


@dataclass(frozen=True, slots=True)
class Trace:
    """The load: requests as (seconds, crops), trainings as (seconds, user)."""

    seconds: float
    requests: Sequence[tuple[float, int]]
    trainings: Sequence[tuple[float, str]]


@dataclass(slots=True)
class Outcome:
    """The times that a trace led to, in seconds.

    Attributes:
        waiting: Of each request, from its arrival to the chip.
        begun: Of each training, from its submission to its start.
        completed: Of each training, from its submission to its end.
        busy: Share of the chips' time until everything was done.
        step_s: Chip time of a mini-batch.
        steps: Mini-batches of each training.
    """

    waiting: list[float] = field(default_factory=list)
    begun: list[float] = field(default_factory=list)
    completed: list[float] = field(default_factory=list)
    busy: float = 0.0
    step_s: float = 0.0
    steps: list[int] = field(default_factory=list)


def make_trace(seconds: float, chips: int, seed: int) -> Trace:
    """Draw random arrivals that keep `chips` about two thirds busy."""
    rng = random.Random(seed)
    requests = [(at, 1) for at in _arrivals(rng, chips * _SMALL_PER_S, seconds)]
    requests += [(at, _LARGE) for at in _arrivals(rng, chips * _LARGE_PER_S, seconds)]
    trainings = [
        (at, f"user-{rng.randrange(_USERS)}") for at in _arrivals(rng, chips / _TRAINING_EVERY_S, seconds)
    ]
    return Trace(seconds, sorted(requests), trainings)


def _arrivals(rng: random.Random, per_s: float, seconds: float) -> list[float]:
    times, now = [], rng.expovariate(per_s)
    while now < seconds:
        times.append(now)
        now += rng.expovariate(per_s)
    return times


def run_measured(service: Service, trace: Trace, number: int) -> Outcome:
    """Play a trace to a running service as round `number`, and wait until everything is done."""
    outcome = Outcome()

    def send(crops: int) -> float:
        answer = service.call("POST", service.classify_path(MODEL), bytes(784 * crops))
        return float(answer["timing"]["waiting_ms"]) / 1000

    before, began = chip_times(service), time.monotonic()
    sends = sorted(
        [(at, "crops", crops) for at, crops in trace.requests]
        + [(at, "training", user) for at, user in trace.trainings]
    )
    jobs: list[str] = []
    with ThreadPoolExecutor(_CONNECTIONS + 1) as pool:
        answers: list[Future[float]] = []
        submitted: list[Future[str]] = []
        for at, kind, what in sends:
            time.sleep(max(0.0, began + at - time.monotonic()))
            if kind == "crops":
                answers.append(pool.submit(send, int(what)))
            else:
                user = str(what)
                model = f"{user}-{number}-{len(submitted)}"
                submitted.append(pool.submit(service.train, model, user=user, **TRAINING))
        outcome.waiting = [answer.result() for answer in answers]
        jobs = [job.result() for job in submitted]
    records = [service.await_end(job_id) for job_id in jobs]
    elapsed_s = time.monotonic() - began
    time.sleep(2.5)  # the workers report their times about every second
    after = chip_times(service)
    spent_s = sum(after[chip]["chip"] - before[chip].get("chip", 0.0) for chip in after)
    outcome.busy = spent_s / len(after) / elapsed_s
    outcome.steps = [int(record["metrics"]["steps_total"]) for record in records]
    outcome.step_s = sum(float(record["chip_time_s"]) for record in records) / sum(outcome.steps)
    for record in records:
        submitted_at = _moment(record["created_at"])
        outcome.begun.append(_moment(record["started_at"]) - submitted_at)
        outcome.completed.append(_moment(record["finished_at"]) - submitted_at)
    return outcome


def run_simulated(trace: Trace, chips: int, costs: Costs) -> Outcome:
    """Play a trace to the simulation."""
    env, outcome, statistics = simpy.Environment(), Outcome(), Statistics()
    pool = ChipPool(env, chips, costs, Policy(), statistics, random.Random(0))
    pool.interval = IntervalStatistics(0.0, trace.seconds)

    def answered(request: Request) -> None:
        outcome.waiting.append(request.begun_at - request.sent_at)

    def send() -> Steps:
        for at, crops in trace.requests:
            yield env.timeout(at - env.now)
            pool.send(Request("admin", f"{MODEL}@1", ANY, crops, env.now, answered))

    def train() -> Steps:
        for number, (at, user) in enumerate(trace.trainings):
            yield env.timeout(at - env.now)
            left = deque((float(s.steps), s.step_s) for s in costs.training)
            pool.submit(Work(LongJob(f"{number:06}", user, env.now), left))

    env.process(send())
    env.process(train())
    env.run()
    ended_at = max([ended.ended_at for ended in statistics.ended] + [trace.seconds])
    spent = pool.interval.spent_s
    outcome.busy = (spent["crops"] + spent["long"]) / chips / ended_at
    outcome.begun = [ended.began_at - ended.submitted_at for ended in statistics.ended]
    outcome.completed = [ended.ended_at - ended.submitted_at for ended in statistics.ended]
    return outcome


def chip_times(service: Service) -> dict[str, dict[str, float]]:
    """Return the seconds of each chip's worker by activity."""
    return {chip["id"]: chip["time_s"] for chip in service.call("GET", "/v1/chip")["chips"]}


def _moment(text: str) -> float:
    return datetime.fromisoformat(text).timestamp()
