"""Group `sharing`: the share of the chip that each of several users gets."""

import http.client
import time
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

import numpy as np

from benchmarks.context import Context, MeasurementError, say
from benchmarks.dashboards import measure_dashboards
from benchmarks.eta import measure_eta
from benchmarks.flood import measure_flood
from benchmarks.results import Ratio, Target
from benchmarks.service import Service, real_time_service
from benchmarks.serving import MODEL, TrainedService, trained_service
from benchmarks.utilisation import measure_utilisation

TARGETS: Final[Mapping[str, Target]] = {
    "sharing.second_user_slowdown": Target(2.2, "lower"),
    "sharing.split_error_points": Target(5.0, "lower"),
    "sharing.interactive_p99_ms": Target(50.0, "lower"),
}

_TRAINING: Final[dict[str, Any]] = {
    "recipe": "notebook",
    "dataset": "digits",
    "execution": "chip",
    "epochs": 4,
}
_LONG: Final[dict[str, Any]] = {"recipe": "strong", "dataset": "digits", "epochs": 200}
_QUEUED_BY_FIRST: Final = 10
_INTERACTIVE_S: Final = 15.0
_INTERACTIVE_EVERY_S: Final = 0.05


def measure(context: Context) -> dict[str, Ratio]:
    """Measure crops beside trainings on a mock chip, and trainings beside each other on one in real time."""
    ratios: dict[str, Ratio] = {}
    with context.folder() as folder:
        with trained_service(folder / "mock") as trained:
            ratios["sharing.interactive_p99_ms"] = _third_user(context, trained)
            ratios["sharing.long_work_share_under_flood"] = measure_flood(context, trained)
        say("a virtual chip in real time: training a model to classify with")
        with real_time_service(folder / "real-time", MODEL) as service:
            ratios |= _two_users(service)
            ratios["sharing.utilisation"] = measure_utilisation(context, service)
        with trained_service(folder / "waiting") as trained:
            ratios["sharing.eta_hit_rate"] = measure_eta(trained.service)
            ratios |= measure_dashboards(context, trained)
    return ratios


def _third_user(context: Context, trained: TrainedService) -> Ratio:
    """Measure the latency of a third user's crops while two others train, one of them with ten trainings queued."""
    say(f"a third user's crops beside two who train, one of them with {_QUEUED_BY_FIRST} queued")
    service = trained.service
    jobs = [service.train(f"first-{n}", user="first", **_LONG, seed=n) for n in range(_QUEUED_BY_FIRST)]
    jobs.append(service.train("second", user="second", **_LONG))
    for job_id in (jobs[0], jobs[-1]):
        service.await_running(job_id)
    measured_ms = latencies_ms(service, trained.crops[0].crop, max(_INTERACTIVE_S, context.seconds))
    for job_id in reversed(jobs):
        service.cancel(job_id)
    p50_ms, p99_ms, slowest_ms = (float(value) for value in np.percentile(measured_ms, (50, 99, 100)))
    return Ratio(
        p99_ms,
        {
            "requests": len(measured_ms),
            "p50_ms": round(p50_ms, 2),
            "p99_ms": round(p99_ms, 2),
            "slowest_ms": round(slowest_ms, 2),
        },
    )


def latencies_ms(service: Service, crop: bytes, seconds: float) -> list[float]:
    """Return the latencies of one crop every 50 ms over one connection, each from the moment at which it was due.

    Raises:
        MeasurementError: a crop was refused.
    """
    connection = http.client.HTTPConnection("127.0.0.1", service.server.port, timeout=30)
    headers = {**service.credentials, "Content-Type": "application/octet-stream"}
    found_ms: list[float] = []
    due = time.monotonic()
    end = due + seconds
    while due < end:
        time.sleep(max(0.0, due - time.monotonic()))
        connection.request("POST", service.classify_path(MODEL), crop, headers)
        response = connection.getresponse()
        body = response.read()
        found_ms.append(1000 * (time.monotonic() - due))
        if response.status != http.client.OK:
            raise MeasurementError(f"a crop of the third user got {response.status}: {body[:200]!r}")
        due += _INTERACTIVE_EVERY_S
    connection.close()
    return found_ms


def _two_users(service: Service) -> dict[str, Ratio]:
    """Measure one training alone, the same beside a user with ten, and alone again."""
    say("one user's training alone")
    before = _Run.of(service, "before")
    say(f"the same beside another user who queued {_QUEUED_BY_FIRST}")
    theirs = [
        service.train(f"first-{number}", user="first", **_TRAINING, seed=number)
        for number in range(_QUEUED_BY_FIRST)
    ]
    service.await_running(theirs[0])
    window = _Window(service, theirs)
    beside = _Run.of(service, "second")
    split = window.close(beside)
    for job_id in reversed(theirs):
        service.cancel(job_id)
    say("and alone again")
    after = _Run.of(service, "after")
    alone_s = (before.seconds + after.seconds) / 2
    figures = {
        "alone_s": [round(run.seconds, 3) for run in (before, after)],
        "beside_s": round(beside.seconds, 3),
        "alone_by_record_s": [round(run.seconds_by_record, 3) for run in (before, after)],
        "beside_by_record_s": round(beside.seconds_by_record, 3),
        "alone_chip_s": [run.job["chip_time_s"] for run in (before, after)],
        "beside_chip_s": beside.job["chip_time_s"],
    }
    return {
        "sharing.second_user_slowdown": Ratio(beside.seconds / alone_s, figures),
        "sharing.split_error_points": Ratio(split.pop("error_points"), split),
    }


@dataclass(frozen=True, slots=True)
class _Run:
    """The record of a user's training, and its seconds of wall time from submission to end."""

    job: dict[str, Any]
    seconds: float

    @classmethod
    def of(cls, service: Service, user: str) -> "_Run":
        start = time.monotonic()
        job = service.await_end(service.train(user, user=user, **_TRAINING))
        return cls(job, time.monotonic() - start)

    @property
    def seconds_by_record(self) -> float:
        """The same by the record of the job, without the requests of submission and answer."""
        created_at, finished_at = (
            datetime.fromisoformat(self.job[name]) for name in ("created_at", "finished_at")
        )
        return (finished_at - created_at).total_seconds()


class _Window:
    """The time in which two users both want the chip, and the part that each had of it."""

    def __init__(self, service: Service, theirs: list[str]) -> None:
        self._service = service
        self._theirs = theirs
        self._before_s = self._chip_s()
        self._steps_before = self._steps()
        self._start = time.monotonic()

    def close(self, second: _Run) -> dict[str, Any]:
        """Return the chip time of both users as charged, and their mini-batches as counted in the records."""
        elapsed_s = time.monotonic() - self._start
        first_s, second_s = self._chip_s() - self._before_s, float(second.job["chip_time_s"])
        first_steps, second_steps = self._steps() - self._steps_before, second.job["metrics"]["steps_total"]
        share = second_s / (first_s + second_s)
        return {
            "error_points": 100 * abs(share - 0.5),
            "window_s": round(elapsed_s, 3),
            "first_chip_s": round(first_s, 3),
            "second_chip_s": round(second_s, 3),
            "second_share": round(share, 4),
            "first_steps": first_steps,
            "second_steps": second_steps,
            "second_share_of_steps": round(second_steps / (first_steps + second_steps), 4),
        }

    def _chip_s(self) -> float:
        return sum(float(self._service.job(job_id)["chip_time_s"]) for job_id in self._theirs)

    def _steps(self) -> int:
        return sum(int(self._service.job(job_id)["metrics"].get("step", 0)) for job_id in self._theirs)
