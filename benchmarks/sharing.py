"""Group `sharing`: whether several users get what the policy promises each of them."""

import time
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from benchmarks.context import Context, MeasurementError, say
from benchmarks.load import start_load
from benchmarks.people import People, people_of
from benchmarks.ratio import Ratio, Target
from benchmarks.service import Service
from benchmarks.serving import TrainedService, trained_service
from benchmarks.utilisation import measure_utilisation, real_time_service

TARGETS: Final[Mapping[str, Target]] = {
    "sharing.second_user_slowdown": Target(2.2, "lower"),
    "sharing.split_error_points": Target(5.0, "lower"),
    "sharing.interactive_p99_ms": Target(50.0, "lower"),
    "sharing.long_work_share_under_flood": Target(0.2, "higher"),
    "sharing.utilisation": Target(0.95, "higher"),
}

_TRAINING: Final[dict[str, Any]] = {
    "recipe": "notebook",
    "dataset": "digits",
    "execution": "chip",
    "epochs": 4,
}
_LONG: Final[dict[str, Any]] = {"recipe": "strong", "dataset": "digits", "epochs": 200}
_PROBED_S: Final = 15.0
_QUEUED_BY_FIRST: Final = 10
_FLOOD_CLIENTS: Final = 8
_FLOOD_CROPS: Final = 64
_WINDOW_S: Final = 4.0


@dataclass(frozen=True, slots=True)
class Run:
    """One user's training from submission to end, by the clock outside, in seconds."""

    job: dict[str, Any]
    seconds: float

    @property
    def seconds_by_record(self) -> float:
        """The same by the service's own record: all but the submission's way there and the answer's back."""
        return _moment(self.job["finished_at"]) - _moment(self.job["created_at"])


def measure(context: Context) -> dict[str, Ratio]:
    """All of it: crops beside trainings on a mock chip, and trainings beside each other on one in real time."""
    ratios: dict[str, Ratio] = {}
    with context.folder() as folder:
        with trained_service(folder) as trained, people_of(folder / "data") as people:
            ratios["sharing.interactive_p99_ms"] = _third_user(context, trained, people)
            ratios["sharing.long_work_share_under_flood"] = _under_flood(context, trained, people)
        with real_time_service(folder / "real-time") as (service, people):
            ratios |= _two_users(service, people)
            ratios["sharing.utilisation"] = measure_utilisation(context, service, people)
    return ratios


def _third_user(context: Context, trained: TrainedService, people: People) -> Ratio:
    """A third user's crops while two others train, one of them with ten trainings queued."""
    say(f"a third user's crops beside two who train, one of them with {_QUEUED_BY_FIRST} queued")
    service = trained.service
    jobs = [people.train("first", f"first-{n}", **_LONG, seed=n) for n in range(_QUEUED_BY_FIRST)]
    jobs.append(people.train("second", "second", **_LONG))
    for job_id in (jobs[0], jobs[-1]):
        service.await_running(job_id)
    probe = trained.probe()
    probe.start()
    time.sleep(max(_PROBED_S, context.seconds))
    probe.stop()
    for job_id in reversed(jobs):
        service.cancel(job_id)
    figures = probe.figures()
    if figures["failures"]:
        raise MeasurementError(f"crops of the third user were not answered: {figures}")
    return Ratio(figures["p99_ms"], figures)


def _two_users(service: Service, people: People) -> dict[str, Ratio]:
    """One training alone, the same beside somebody with ten, and alone again."""
    say("one user's training alone")
    before = _train(service, people, "before")
    say(f"the same beside another user who queued {_QUEUED_BY_FIRST}")
    theirs = [
        people.train("first", f"first-{number}", **_TRAINING, seed=number)
        for number in range(_QUEUED_BY_FIRST)
    ]
    service.await_running(theirs[0])
    window = _Window(service, theirs)
    beside = _train(service, people, "second")
    split = window.close(beside)
    for job_id in reversed(theirs):
        service.cancel(job_id)
    say("and alone again")
    after = _train(service, people, "after")
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


class _Window:
    """The time in which two users both want the chip, and what each had of it."""

    def __init__(self, service: Service, theirs: list[str]) -> None:
        self._service = service
        self._theirs = theirs
        self._before_s = self._chip_s()
        self._steps_before = self._steps()
        self._began = time.monotonic()

    def close(self, second: Run) -> dict[str, Any]:
        """How the chip time was divided, by the service's account; and the mini-batches, counted from the records."""
        elapsed_s = time.monotonic() - self._began
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


def _under_flood(context: Context, trained: TrainedService, people: People) -> Ratio:
    """The chip's share of a training while more crops come than the chip can read."""
    say(f"a training under a flood of crops: {_FLOOD_CLIENTS} clients, {_FLOOD_CROPS} crops per request")
    service = trained.service
    job_id = people.train("second", "flooded", recipe="strong", dataset="digits", epochs=200)
    service.await_running(job_id)
    calm = _Pace.of(service.job(job_id))
    time.sleep(_WINDOW_S)
    alone_steps_per_s = calm.steps_per_s_until(service.job(job_id))
    seconds = max(6 * _WINDOW_S, context.seconds)
    flood = start_load(trained.alternative(_FLOOD_CROPS).plan(_FLOOD_CLIENTS, seconds + 2))
    time.sleep(2.0)
    before = _Pace.of(service.job(job_id))
    used_before = _chip_time_by_kind(trained)
    windows = []
    latest = before
    while time.monotonic() - before.at < seconds - _WINDOW_S:
        time.sleep(_WINDOW_S)
        job = service.job(job_id)
        windows.append(round(latest.share_until(job), 4))
        latest = _Pace.of(job)
    job = service.job(job_id)
    used = _chip_time_by_kind(trained)
    share = before.share_until(job)
    flooded_steps_per_s = before.steps_per_s_until(job)
    report = flood.wait()
    service.cancel(job_id)
    long_s, crops_s = (used[kind] - used_before[kind] for kind in ("training", "classification"))
    return Ratio(
        share,
        {
            "measured": "seconds charged to the training per second by the clock outside",
            "windows": windows,
            "window_s": _WINDOW_S,
            "share_of_charged": round(long_s / (long_s + crops_s), 4),
            "share_of_its_pace_alone": round(flooded_steps_per_s / alone_steps_per_s, 4),
            "crops_per_s": round(report.requests_per_s * _FLOOD_CROPS, 1),
            "crops_p99_ms": round(report.p99_ms, 2),
        },
    )


@dataclass(frozen=True, slots=True)
class _Pace:
    """How far a job was at one moment of the clock outside."""

    at: float
    chip_s: float
    steps: int

    @classmethod
    def of(cls, job: Mapping[str, Any]) -> "_Pace":
        if job["state"] != "running":
            raise MeasurementError(f"the training under the flood is {job['state']}: {job['error']}")
        return cls(time.monotonic(), float(job["chip_time_s"]), int(job["metrics"]["step"]))

    def share_until(self, job: Mapping[str, Any]) -> float:
        later = _Pace.of(job)
        return (later.chip_s - self.chip_s) / (later.at - self.at)

    def steps_per_s_until(self, job: Mapping[str, Any]) -> float:
        later = _Pace.of(job)
        return (later.steps - self.steps) / (later.at - self.at)


def _train(service: Service, people: People, user: str) -> Run:
    started = time.monotonic()
    job = service.await_end(people.train(user, user, **_TRAINING))
    return Run(job, time.monotonic() - started)


def _chip_time_by_kind(trained: TrainedService) -> dict[str, float]:
    totals = {"training": 0.0, "classification": 0.0}
    for user in trained.service.call("GET", "/v1/usage")["users"]:
        for kind, seconds in user["chip_time_s"].items():
            totals[kind] = totals.get(kind, 0.0) + seconds
    return totals


def _moment(text: str) -> float:
    return datetime.fromisoformat(text).timestamp()
