"""Part of group `sharing`: the share of estimated times of completion whose range holds the real one."""

import os
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from benchmarks.context import say
from benchmarks.results import Ratio, Target
from benchmarks.service import Service
from benchmarks.serving import MODEL

TARGETS: Final[Mapping[str, Target]] = {"sharing.eta_hit_rate": Target(0.8, "higher")}

_ASK_EVERY_S: Final = 3.0

_Job = tuple[str, dict[str, Any]]


def _training(**params: Any) -> _Job:
    return "training", {"recipe": "strong", "dataset": "digits", **params}


_EVALUATION: Final[_Job] = ("evaluation", {"dataset": "digits", "repeats": 16})

_WAVES: Final[Sequence[tuple[float, Mapping[str, Sequence[_Job]]]]] = (
    (
        0.0,
        {
            "ada": [_training(epochs=6), _training(epochs=14), _EVALUATION],
            "bo": [_training(epochs=9, batch_size=100), _EVALUATION, _training(epochs=4)],
            "cy": [_training(recipe="notebook", epochs=30)],
        },
    ),
    (
        5.0,
        {
            "cy": [_training(epochs=5, network={"hidden": [64]}), _EVALUATION],
            "di": [_training(epochs=8), _training(epochs=3, execution="float32")],
        },
    ),
    (10.0, {"ada": [_training(epochs=5)], "eve": [_EVALUATION, _training(epochs=4)]}),
)
"""Seconds after the start, and the jobs that each user then submits."""


@dataclass(frozen=True, slots=True)
class _Estimate:
    """The estimate of a job at one moment: Unix time, and seconds from then.

    Attributes:
        is_first: Made directly after the submission.
    """

    job_id: str
    at: float
    earliest_s: float
    latest_s: float
    is_first: bool


def measure_eta(service: Service) -> Ratio:
    """Compare estimates with the truth, once with the machine for the service alone, once beside other programs."""
    alone = _measure(service, "alone")
    with _busy_machine():
        beside = _measure(service, "beside busy processes")
    rates = {"alone": alone, "beside_load": beside}
    return Ratio(
        min(ratio.value for ratio in rates.values()),
        {name: {"hit_rate": round(ratio.value, 3), **ratio.detail} for name, ratio in rates.items()},
    )


@contextmanager
def _busy_machine() -> Iterator[None]:
    """As many processes as there are cores, each of which keeps one busy."""
    busy = [subprocess.Popen([sys.executable, "-c", "while True: pass"]) for _ in range(os.cpu_count() or 1)]
    try:
        yield
    finally:
        for process in busy:
            process.kill()
            process.wait()


def _measure(service: Service, where: str) -> Ratio:
    """Submit the jobs of five users, ask for the estimates of all until all have ended, and compare."""
    say(f"five users queue trainings and evaluations, and ask when they will be done, {where}")
    estimates: list[_Estimate] = []
    unanswered, start, waves, waiting = 0, time.monotonic(), list(_WAVES), set[str]()
    ended: dict[str, float] = {}
    while waves or waiting:
        new: list[str] = []
        if waves and time.monotonic() - start >= waves[0][0]:
            for user, jobs in waves.pop(0)[1].items():
                new += [service.submit(kind, MODEL, params, user=user) for kind, params in jobs]
            waiting.update(new)
        else:
            # Equally far apart, so that no part of the time counts more than another.
            wave_in_s = start + waves[0][0] - time.monotonic() if waves else _ASK_EVERY_S
            time.sleep(max(0.0, min(_ASK_EVERY_S, wave_in_s)))
            if wave_in_s <= _ASK_EVERY_S and waves:
                continue
        for job_id in sorted(waiting):
            asked_at, job = time.time(), service.job(job_id)
            if job["finished_at"]:
                ended[job_id] = datetime.fromisoformat(job["finished_at"]).timestamp()
                waiting.discard(job_id)
            elif job["eta"] is None:
                unanswered += 1
            else:
                estimates.append(_Estimate(job_id, asked_at, **job["eta"], is_first=job_id in new))
    return _compare(estimates, ended, unanswered)


def _compare(estimates: Sequence[_Estimate], ended: Mapping[str, float], unanswered: int) -> Ratio:
    """Return the share of hits; a question without an answer is a miss."""
    true_s = [ended[estimate.job_id] - estimate.at for estimate in estimates]
    pairs = list(zip(estimates, true_s, strict=True))
    hits = [estimate.earliest_s <= end_s <= estimate.latest_s for estimate, end_s in pairs]
    first = [hit for (estimate, _), hit in zip(pairs, hits, strict=True) if estimate.is_first]
    early = sum(end_s < estimate.earliest_s for estimate, end_s in pairs)
    width = statistics.median(estimate.latest_s / max(estimate.earliest_s, 0.1) for estimate in estimates)
    return Ratio(
        sum(hits) / (len(estimates) + unanswered),
        {
            "answers": len(estimates),
            "unanswered": unanswered,
            "jobs": len(ended),
            "at_submission": round(sum(first) / len(first), 3),
            "ended_earlier": early,
            "ended_later": len(estimates) - sum(hits) - early,
            "median_latest_over_earliest": round(width, 2),
            "median_true_s": round(statistics.median(true_s), 1),
        },
    )
