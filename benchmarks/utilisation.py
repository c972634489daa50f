"""Part of group `sharing`: the share of a worker's time in which its chip works for users."""

import time
from collections.abc import Mapping
from typing import Any, Final

from benchmarks.context import Context, MeasurementError, say
from benchmarks.load import LoadPlan, LoadReport, build_request, start_load
from benchmarks.results import Ratio, Target
from benchmarks.service import Service
from benchmarks.serving import MODEL

TARGETS: Final[Mapping[str, Target]] = {"sharing.utilisation": Target(0.95, "higher")}

_USERS: Final = 10
_CLIENTS: Final = 6
_CROPS: Final = 16
_LONGEST_WAIT_S: Final = 5.0
_SECONDS: Final = 30.0


def measure_utilisation(context: Context, service: Service) -> Ratio:
    """Keep a chip in real time busy with trainings in its loop and crops, and read the worker's account of its time.

    Raises:
        MeasurementError: the worker's account differs from the wall time by more than a tenth.
    """
    say(f"{_USERS} users with a training each in the chip's loop, and {_CLIENTS} clients with crops")
    jobs = [
        service.train(f"model-{n}", user=f"user-{n}", dataset="digits", execution="chip", epochs=50, seed=n)
        for n in range(_USERS)
    ]
    seconds = max(_SECONDS, context.seconds)
    request = build_request(service.classify_path(MODEL), bytes(784 * _CROPS), headers=service.credentials)
    plan = LoadPlan(
        port=service.server.port,
        requests=(request,),
        clients=_CLIENTS,
        seconds=seconds + 2 * _LONGEST_WAIT_S,
        stalled_after_s=60.0,
    )
    for job_id in jobs:
        service.await_running(job_id)
    load = start_load(plan)
    time.sleep(_LONGEST_WAIT_S)
    before, start = _times_of(service), time.monotonic()
    charged_before_s = _charged_s(service)
    time.sleep(seconds)
    after, elapsed_s = _times_of(service), time.monotonic() - start
    charged_s = _charged_s(service) - charged_before_s
    report = LoadReport.from_json(load.wait())
    trainings_s = [round(float(service.job(job_id)["chip_time_s"]), 2) for job_id in jobs]
    for job_id in jobs:
        service.cancel(job_id)
    spent = {name: after[name] - before.get(name, 0.0) for name in after}
    accounted_s = sum(spent.values())
    if not 0.9 < accounted_s / elapsed_s < 1.1:
        raise MeasurementError(f"the worker accounts for {accounted_s:.2f} of {elapsed_s:.2f} s: {spent}")
    return Ratio(
        spent["chip"] / accounted_s,
        {
            "seconds_outside": round(elapsed_s, 3),
            "seconds_accounted": round(accounted_s, 3),
            "shares": {name: round(s / accounted_s, 5) for name, s in sorted(spent.items())},
            "charged_to_users_s": round(charged_s, 3),
            "trainings_chip_s": trainings_s,
            "crops_per_s": round(report.requests_per_s * _CROPS, 1),
            "crops_p99_ms": round(report.p99_ms, 1),
            "crop_errors": report.errors,
        },
    )


def _times_of(service: Service) -> Mapping[str, float]:
    [chip] = service.call("GET", "/v1/chip")["chips"]
    times: dict[str, float] = chip["time_s"]
    return times


def _charged_s(service: Service) -> float:
    users: list[dict[str, Any]] = service.call("GET", "/v1/usage")["users"]
    return sum(float(user["total_s"]) for user in users)
