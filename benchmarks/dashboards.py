"""Part of group `sharing`: the cost of hundreds of dashboards, for the API and for users who classify."""

import json
import statistics
import time
from collections.abc import Mapping
from typing import Any, Final

from benchmarks.alternatives import measure_round, summarise_rounds
from benchmarks.context import Context, MeasurementError, say
from benchmarks.load import LoadProcess
from benchmarks.load.listeners import ListenersPlan, ListenersReport
from benchmarks.processes import Server
from benchmarks.results import Ratio, Target
from benchmarks.service import Service
from benchmarks.serving import TrainedService

TARGETS: Final[Mapping[str, Target]] = {
    "sharing.listeners500.throughput_kept": Target(0.8, "higher"),
    "sharing.listeners500.api_cores": Target(0.5, "lower"),
}

_POLLERS: Final = 250
_STREAMS: Final = 250
_CLIENTS: Final = 32
_ROUNDS: Final = 3
_LISTENING_ON_S: Final = 15.0
"""On a busy machine a training makes progress rarely, and the dashboards receive it one after the other."""


def measure_dashboards(context: Context, trained: TrainedService) -> dict[str, Ratio]:
    """Measure the throughput of classification, and the API's processor time without classification.

    Both are measured with the dashboards and without, beside the same training.
    """
    service, ours = trained.service, trained.alternative()
    say(f"{_CLIENTS} clients classify beside a training, without and with {_POLLERS + _STREAMS} dashboards")
    alone, beside, reports = [], [], []
    with service.training_beside("watched") as job_id:
        for _ in range(_ROUNDS):
            alone.append(measure_round(ours, _CLIENTS, context.seconds))
            dashboards = _open_dashboards(service, job_id, context.seconds)
            beside.append(measure_round(ours, _CLIENTS, context.seconds))
            reports.append(_report_of(dashboards))
    say("the same dashboards without classification")
    with service.training_beside("watched") as job_id:
        idle_cores = _api_cores(service.server, context.seconds)
        dashboards = _open_dashboards(service, job_id, context.seconds)
        cores = _api_cores(service.server, context.seconds)
        quiet = _report_of(dashboards)
    without, with_them = summarise_rounds("alone", alone), summarise_rounds("dashboards", beside)
    return {
        "sharing.listeners500.throughput_kept": Ratio(
            with_them.requests_per_s / without.requests_per_s,
            {"without": without.as_detail(), "with": with_them.as_detail(), "heard": _rates(reports)},
        ),
        "sharing.listeners500.api_cores": Ratio(
            cores - idle_cores, {"without": round(idle_cores, 3), "heard": _rates([quiet])}
        ),
    }


def _open_dashboards(service: Service, job_id: str, seconds: float) -> LoadProcess:
    """Open dashboards, all of which have received the job."""
    seconds += _LISTENING_ON_S
    plan = ListenersPlan(service.server.port, service.token, job_id, _POLLERS, _STREAMS, seconds)
    process = LoadProcess("benchmarks.load.listeners", plan.to_json(), seconds)
    process.await_line()
    return process


def _report_of(dashboards: LoadProcess) -> ListenersReport:
    """Return the report of the dashboards.

    Raises:
        MeasurementError: one of them received nothing, something old or an error.
    """
    report = ListenersReport(**json.loads(dashboards.wait()))
    if report.errors or report.backward or report.silent:
        raise MeasurementError(
            f"of {_POLLERS + _STREAMS} dashboards {report.silent} received nothing; {report.backward} answers were "
            f"old, {report.errors} errors, the first: {report.first_error}"
        )
    return report


def _api_cores(server: Server, seconds: float) -> float:
    """Return the mean number of cores that the API uses."""
    before_s, start = server.cpu_s("api"), time.monotonic()
    time.sleep(seconds)
    return (server.cpu_s("api") - before_s) / (time.monotonic() - start)


def _rates(reports: list[ListenersReport]) -> dict[str, Any]:
    """Return answers and events per dashboard and second, and the share of a core that the dashboards used."""
    polls = statistics.median(report.polls / _POLLERS / report.seconds for report in reports)
    events = statistics.median(report.events / _STREAMS / report.seconds for report in reports)
    return {
        "answers_per_poller_and_s": round(polls, 2),
        "events_per_stream_and_s": round(events, 2),
        "dashboards_cpu": round(statistics.median(report.client_cpu for report in reports), 3),
    }
