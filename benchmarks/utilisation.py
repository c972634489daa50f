"""What the seconds of a worker go to while ten users keep a chip in real time busy."""

import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

from benchmarks.context import Context, MeasurementError, say
from benchmarks.load import LoadPlan, build_request, start_load
from benchmarks.people import People, people_of
from benchmarks.ratio import Ratio
from benchmarks.service import Service, running_service

_USERS: Final = 10
_CLIENTS: Final = 6
_CROPS: Final = 16
_MODEL: Final = "digits"
_LONGEST_WAIT_S: Final = 5.0
_SECONDS: Final = 30.0


@contextmanager
def real_time_service(data_dir: Path) -> Iterator[tuple[Service, People]]:
    """A service on a virtual chip that takes the time of a real one, with a model to read with, and its users."""
    environment = {"HXSERVE_EMULATOR_REALTIME": "1"}
    with (
        running_service(data_dir, chip="emulator", env=environment) as service,
        people_of(data_dir) as people,
    ):
        say("a virtual chip in real time: training a model to read with")
        service.await_end(
            service.start_training(_MODEL, recipe="strong", dataset="digits", epochs=1, execution="mock")
        )
        yield service, people


def measure_utilisation(context: Context, service: Service, people: People) -> Ratio:
    """The share of its time that the chip works for users, and what the rest was.

    The worker's own timesheet says what each second went to; its sum is held against the clock outside.
    """
    say(f"{_USERS} users with a training each in the chip's loop, and {_CLIENTS} clients with crops")
    jobs = [
        people.train(f"user-{n}", f"model-{n}", dataset="digits", execution="chip", epochs=50, seed=n)
        for n in range(_USERS)
    ]
    plan = LoadPlan(
        port=service.served.port,
        requests=(
            build_request(service.classify_path(_MODEL), bytes(784 * _CROPS), headers=service.credentials),
        ),
        clients=_CLIENTS,
        seconds=max(_SECONDS, context.seconds) + 2 * _LONGEST_WAIT_S,
        stalled_after_s=60.0,
    )
    for job_id in jobs:
        service.await_running(job_id)
    load = start_load(plan)
    time.sleep(_LONGEST_WAIT_S)
    before, began = _times_of(service), time.monotonic()
    charged_before = _charged_s(service)
    time.sleep(max(_SECONDS, context.seconds))
    after, elapsed_s = _times_of(service), time.monotonic() - began
    charged_s = _charged_s(service) - charged_before
    report = load.wait()
    shares = {job_id: service.job(job_id)["chip_time_s"] for job_id in jobs}
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
            "trainings_chip_s": [round(s, 2) for s in shares.values()],
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
