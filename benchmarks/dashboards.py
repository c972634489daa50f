"""Hundreds of dashboards at once: what they cost the API, and what they cost those who classify."""

import json
import statistics
import subprocess
import sys
import time
from typing import Any, Final

from benchmarks.alternatives import measure_round, summarise_rounds
from benchmarks.context import Context, MeasurementError, say
from benchmarks.load.listeners import Heard, ListenersPlan
from benchmarks.processes import ROOT, Served
from benchmarks.ratio import Ratio
from benchmarks.serving import TrainedService

POLLERS: Final = 250
STREAMS: Final = 250
_CLASSIFYING: Final = 32
_ROUNDS: Final = 3
_GRACE_S: Final = 60.0
_LISTENING_ON_S: Final = 15.0
"""On a busy machine a training's progress is rare, and is told to one dashboard after the other."""


class Dashboards:
    """Dashboards that look at one job, in a process of their own."""

    def __init__(self, plan: ListenersPlan) -> None:
        self._limit_s = plan.seconds + _GRACE_S
        self._process = subprocess.Popen(
            [sys.executable, "-m", "benchmarks.load.listeners"],
            cwd=ROOT,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(plan.to_json() + "\n")
        self._process.stdin.flush()
        if not self._process.stdout.readline():
            self._process.kill()
            raise MeasurementError(f"the dashboards do not come up: {self._process.communicate()[1][-500:]}")

    def wait(self) -> Heard:
        """What they heard, when their time is over.

        Raises:
            MeasurementError: when one of them heard nothing, something old or an error.
        """
        try:
            said, complaint = self._process.communicate(timeout=self._limit_s)
        finally:
            self._process.kill()
        if self._process.returncode:
            raise MeasurementError(f"the dashboards failed: {complaint.strip().splitlines()[-1:]}")
        heard = Heard(**json.loads(said))
        if heard.errors or heard.backward or heard.silent:
            raise MeasurementError(
                f"of {POLLERS + STREAMS} dashboards {heard.silent} heard nothing; {heard.backward} answers were old, "
                f"{heard.errors} errors, the first: {heard.first_error}"
            )
        return heard


def measure_dashboards(context: Context, trained: TrainedService) -> dict[str, Ratio]:
    """Throughput of classification with dashboards over that without, in turns, beside the same training.

    And the processor time of the API process while the dashboards listen and nobody classifies, less what it uses
    without them.
    """
    service, ours = trained.service, trained.alternative(1)
    say(f"{_CLASSIFYING} clients classify beside a training, without and with {POLLERS + STREAMS} dashboards")
    alone, beside, heard_by_round = [], [], []
    with service.training_beside("watched") as job_id:
        for _ in range(_ROUNDS):
            alone.append(measure_round(ours, _CLASSIFYING, context.seconds))
            dashboards = _open_dashboards(trained, job_id, context.seconds + _LISTENING_ON_S)
            beside.append(measure_round(ours, _CLASSIFYING, context.seconds))
            heard_by_round.append(dashboards.wait())
    say("the same dashboards, and nobody classifies")
    with service.training_beside("watched") as job_id:
        idle_cores = _api_cores(service.served, context.seconds)
        dashboards = _open_dashboards(trained, job_id, context.seconds + _LISTENING_ON_S)
        cores = _api_cores(service.served, context.seconds)
        quiet = dashboards.wait()
    without, with_them = summarise_rounds("alone", alone), summarise_rounds("dashboards", beside)
    return {
        "sharing.listeners500.throughput_kept": Ratio(
            with_them.requests_per_s / without.requests_per_s,
            {
                "without": without.as_detail(),
                "with": with_them.as_detail(),
                "heard": _heard(heard_by_round),
            },
        ),
        "sharing.listeners500.api_cores": Ratio(
            cores - idle_cores, {"without": round(idle_cores, 3), "heard": _heard([quiet])}
        ),
    }


def _open_dashboards(trained: TrainedService, job_id: str, seconds: float) -> Dashboards:
    service = trained.service
    return Dashboards(ListenersPlan(service.served.port, service.token, job_id, POLLERS, STREAMS, seconds))


def _api_cores(served: Served, seconds: float) -> float:
    """Cores that the API process uses on average."""
    before_s, began = served.cpu_s("api"), time.monotonic()
    time.sleep(seconds)
    return (served.cpu_s("api") - before_s) / (time.monotonic() - began)


def _heard(rounds: list[Heard]) -> dict[str, Any]:
    """How often each dashboard heard something, per second, and what the dashboards themselves took of a core."""
    return {
        "answers_per_poller_and_s": round(
            statistics.median(heard.polls / POLLERS / heard.seconds for heard in rounds), 2
        ),
        "events_per_stream_and_s": round(
            statistics.median(heard.events / STREAMS / heard.seconds for heard in rounds), 2
        ),
        "dashboards_cpu": round(statistics.median(heard.client_cpu for heard in rounds), 3),
    }
