"""Whether jobs end when they were said to: several users' trainings and evaluations, asked about again and again."""

import statistics
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from benchmarks.context import say
from benchmarks.ratio import Ratio
from benchmarks.service import Service
from benchmarks.serving import MODEL, TrainedService

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
"""Seconds after the beginning, and what each user then submits."""


@dataclass(frozen=True, slots=True)
class _Promise:
    """What a job's owner was told at one moment: Unix time, seconds from then, and whether it was at submission."""

    job_id: str
    at: float
    earliest_s: float
    latest_s: float
    is_first: bool


def measure_eta(trained: TrainedService) -> Ratio:
    """The share of answers whose range held the moment the job really ended."""
    say("five users queue trainings and evaluations, and ask when they will be done")
    service = trained.service
    tokens = {
        name: str(service.call("POST", "/v1/users", {"name": name})["token"])
        for name in sorted({name for _, wave in _WAVES for name in wave})
    }
    promises: list[_Promise] = []
    unanswered, began, waves, waiting = 0, time.monotonic(), list(_WAVES), set[str]()
    ended: dict[str, float] = {}
    while waves or waiting:
        if waves and time.monotonic() - began >= waves[0][0]:
            new = _submit(service, tokens, waves.pop(0)[1])
            waiting.update(new)
        else:
            new = []
            # Equally far apart, so that no part of the time counts more than another.
            wave_in_s = began + waves[0][0] - time.monotonic() if waves else _ASK_EVERY_S
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
                promises.append(_Promise(job_id, asked_at, **job["eta"], is_first=job_id in new))
    return Ratio(*_judge(promises, ended, unanswered))


def _submit(service: Service, tokens: Mapping[str, str], wave: Mapping[str, Sequence[_Job]]) -> list[str]:
    return [
        str(
            service.call(
                "POST", "/v1/jobs", {"kind": kind, "model": MODEL, "params": params}, token=tokens[user]
            )["id"]
        )
        for user, jobs in wave.items()
        for kind, params in jobs
    ]


def _judge(
    promises: Sequence[_Promise], ended: Mapping[str, float], unanswered: int
) -> tuple[float, dict[str, Any]]:
    kept = [
        promise.earliest_s <= ended[promise.job_id] - promise.at <= promise.latest_s for promise in promises
    ]
    first = [hit for promise, hit in zip(promises, kept, strict=True) if promise.is_first]
    early = sum(ended[promise.job_id] - promise.at < promise.earliest_s for promise in promises)
    # One that could not be answered counts as one that was wrong.
    rate = sum(kept) / (len(promises) + unanswered)
    return rate, {
        "answers": len(promises),
        "unanswered": unanswered,
        "jobs": len(ended),
        "at_submission": round(sum(first) / len(first), 3),
        "ended_earlier": early,
        "ended_later": len(promises) - sum(kept) - early,
        "median_latest_over_earliest": round(
            statistics.median(promise.latest_s / max(promise.earliest_s, 0.1) for promise in promises), 2
        ),
        "median_true_s": round(
            statistics.median(ended[promise.job_id] - promise.at for promise in promises), 1
        ),
    }
