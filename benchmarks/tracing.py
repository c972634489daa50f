"""Group `tracing`: what traces cost, by the share of requests that is sampled."""

import statistics
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Final

from benchmarks.alternatives import Alternative, Round, details, measure_round, summarise_rounds
from benchmarks.context import Context, say
from benchmarks.results import Ratio, Target
from benchmarks.serving import TrainedService, trained_service

TARGETS: Final[Mapping[str, Target]] = {"tracing.overhead_at_1_percent": Target(0.02, "lower")}

_CLIENTS: Final = 32
_ROUNDS: Final = 40
_SHARE: Final = 100
"""One request of so many is sampled."""
_TRACEPARENT: Final = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-0{}"


def measure(context: Context) -> dict[str, Ratio]:
    """Measure a service without traces, and one that traces what its clients have sampled, in short turns."""
    with context.folder() as folder, _collector() as endpoint, ExitStack() as stack:
        variables = {"OTEL_EXPORTER_OTLP_ENDPOINT": endpoint, "OTEL_TRACES_SAMPLER": "parentbased_always_off"}
        off = stack.enter_context(trained_service(folder / "off"))
        traced = stack.enter_context(trained_service(folder / "traced", env=variables))
        alternatives = [off.alternative(name="off"), *_by_share(traced)]
        say(f"{_CLIENTS} clients, one crop per request: no traces, none sampled, 1 %, all, in turns")
        rounds: dict[str, list[Round]] = {alternative.name: [] for alternative in alternatives}
        for number in range(_ROUNDS):
            # Each begins as often as the others, so that none always follows the dearest.
            turn = number % len(alternatives)
            for alternative in alternatives[turn:] + alternatives[:turn]:
                rounds[alternative.name].append(measure_round(alternative, _CLIENTS, context.seconds / 8))
    figures = {name: summarise_rounds(name, series) for name, series in rounds.items()}
    pairs = {"unsampled": "off", "one_percent": "unsampled", "every": "unsampled"}
    lost = {name: _changes(rounds[base], rounds[name], _seconds_per_request) for name, base in pairs.items()}
    more_cpu = {name: _changes(rounds[base], rounds[name], _cpu_per_request) for name, base in pairs.items()}
    detail = {
        "clients": _CLIENTS,
        "lost_quartiles": {name: _quartiles(found) for name, found in lost.items()},
        "more_cpu_quartiles": {name: _quartiles(found) for name, found in more_cpu.items()},
        **details(figures),
    }
    return {"tracing.overhead_at_1_percent": Ratio(statistics.median(lost["one_percent"]), detail)}


def _by_share(traced: TrainedService) -> list[Alternative]:
    """Return the service under requests of which none, one of a hundred and all are sampled by their client."""
    unsampled = traced.alternative(name="unsampled", headers={"traceparent": _TRACEPARENT.format(0)})
    every = traced.alternative(name="every", headers={"traceparent": _TRACEPARENT.format(1)})
    some = [
        (every if number % _SHARE == 0 else unsampled).requests[number % len(every.requests)]
        for number in range(_SHARE * len(every.requests))
    ]
    answers = tuple(every.answers[number % len(every.answers)] for number in range(len(some)))
    return [unsampled, replace(unsampled, name="one_percent", requests=tuple(some), answers=answers), every]


def _seconds_per_request(one: Round) -> float:
    return 1 / one.report.requests_per_s


def _cpu_per_request(one: Round) -> float:
    return one.cpu_s / one.report.answered


def _changes(without: list[Round], traced: list[Round], read: Callable[[Round], float]) -> list[float]:
    """Return by how much more of something traces take than none, as a share, by turn."""
    return [read(ours) / read(theirs) - 1 for theirs, ours in zip(without, traced, strict=True)]


def _quartiles(values: list[float]) -> list[float]:
    """Return the quartiles, the median in the middle."""
    return [round(value, 4) for value in statistics.quantiles(values, n=4)]


@contextmanager
def _collector() -> Iterator[str]:
    """Run a collector that takes all spans and keeps none; yield its address."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            self.rfile.read(int(self.headers["Content-Length"]))
            self.send_response(200)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *_: Any) -> None:
            """Write nothing."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        try:
            yield f"http://127.0.0.1:{server.server_port}"
        finally:
            server.shutdown()
