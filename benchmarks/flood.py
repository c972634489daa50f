"""Part of group `sharing`: a training's share of the chip while more crops arrive than the chip can read."""

import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from benchmarks.context import Context, say
from benchmarks.load import LoadReport, start_load
from benchmarks.results import Ratio, Target
from benchmarks.service import Service
from benchmarks.serving import TrainedService

TARGETS: Final[Mapping[str, Target]] = {"sharing.long_work_share_under_flood": Target(0.2, "higher")}

_CLIENTS: Final = 8
_CROPS: Final = 64
_WINDOW_S: Final = 4.0


def measure_flood(context: Context, trained: TrainedService) -> Ratio:
    """Measure in windows of four seconds, and over all of them."""
    say(f"a training under a flood of crops: {_CLIENTS} clients, {_CROPS} crops per request")
    service = trained.service
    with service.training_beside("flooded", user="second") as job_id:
        calm = _Pace.of(service, job_id)
        time.sleep(_WINDOW_S)
        alone_steps_per_s = calm.steps_per_s_until(_Pace.of(service, job_id))
        seconds = max(6 * _WINDOW_S, context.seconds)
        flood = start_load(trained.alternative(_CROPS).plan(_CLIENTS, seconds + 2))
        time.sleep(2.0)
        first = latest = _Pace.of(service, job_id)
        charged_before = _charged_by_kind(service)
        windows = []
        while time.monotonic() - first.at < seconds - _WINDOW_S:
            time.sleep(_WINDOW_S)
            pace = _Pace.of(service, job_id)
            windows.append(round(latest.share_until(pace), 4))
            latest = pace
        last = _Pace.of(service, job_id)
        charged = _charged_by_kind(service)
        report = LoadReport.from_json(flood.wait())
    long_s, crops_s = (charged[kind] - charged_before[kind] for kind in ("training", "classification"))
    return Ratio(
        first.share_until(last),
        {
            "measured": "seconds charged to the training per second of wall time",
            "windows": windows,
            "window_s": _WINDOW_S,
            "share_of_charged": round(long_s / (long_s + crops_s), 4),
            "share_of_its_pace_alone": round(first.steps_per_s_until(last) / alone_steps_per_s, 4),
            "crops_per_s": round(report.requests_per_s * _CROPS, 1),
            "crops_p99_ms": round(report.p99_ms, 2),
        },
    )


@dataclass(frozen=True, slots=True)
class _Pace:
    """The progress of a training at one moment of wall time."""

    at: float
    chip_s: float
    steps: int

    @classmethod
    def of(cls, service: Service, job_id: str) -> "_Pace":
        job = service.job(job_id)
        return cls(time.monotonic(), float(job["chip_time_s"]), int(job["metrics"]["step"]))

    def share_until(self, later: "_Pace") -> float:
        """Return the seconds charged per second of wall time."""
        return (later.chip_s - self.chip_s) / (later.at - self.at)

    def steps_per_s_until(self, later: "_Pace") -> float:
        """Return the mini-batches per second of wall time."""
        return (later.steps - self.steps) / (later.at - self.at)


def _charged_by_kind(service: Service) -> dict[str, float]:
    totals = {"training": 0.0, "classification": 0.0}
    for user in service.call("GET", "/v1/usage")["users"]:
        for kind, seconds in user["chip_time_s"].items():
            totals[kind] = totals.get(kind, 0.0) + seconds
    return totals
