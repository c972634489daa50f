"""Group `tracing`: what traces cost, by the share of requests that is sampled."""

import statistics
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Final

from benchmarks.alternatives import Round, details, measure_round, summarise_rounds
from benchmarks.context import Context, say
from benchmarks.results import Ratio, Target
from benchmarks.serving import trained_service

TARGETS: Final[Mapping[str, Target]] = {"tracing.overhead_at_1_percent": Target(0.02, "lower")}

_CLIENTS: Final = 32
_ROUNDS: Final = 24
_SAMPLERS: Final[Mapping[str, Mapping[str, str]]] = {
    "off": {},
    "unsampled": {"OTEL_TRACES_SAMPLER": "always_off"},
    "one_percent": {"OTEL_TRACES_SAMPLER": "parentbased_traceidratio", "OTEL_TRACES_SAMPLER_ARG": "0.01"},
    "every": {"OTEL_TRACES_SAMPLER": "always_on"},
}


def measure(context: Context) -> dict[str, Ratio]:
    """Measure four services, which differ in their sampling alone, in short turns."""
    with context.folder() as folder, _collector() as endpoint, ExitStack() as stack:
        alternatives = []
        for name, sampler in _SAMPLERS.items():
            variables = {"OTEL_EXPORTER_OTLP_ENDPOINT": endpoint, **sampler} if sampler else {}
            trained = stack.enter_context(trained_service(folder / name, env=variables))
            alternatives.append(trained.alternative(name=name))
        say(f"{_CLIENTS} clients, one crop per request: no traces, none sampled, 1 %, all, in turns")
        rounds: dict[str, list[Round]] = {name: [] for name in _SAMPLERS}
        for number in range(_ROUNDS):
            # Each begins as often as the others, so that none always follows the dearest.
            turn = number % len(alternatives)
            for alternative in alternatives[turn:] + alternatives[:turn]:
                rounds[alternative.name].append(measure_round(alternative, _CLIENTS, context.seconds / 8))
    figures = {name: summarise_rounds(name, series) for name, series in rounds.items()}
    traced = [name for name in _SAMPLERS if name != "off"]
    lost = {name: _changes(rounds["off"], rounds[name], _seconds_per_request) for name in traced}
    more_cpu = {name: _changes(rounds["off"], rounds[name], _cpu_per_request) for name in traced}
    detail = {
        "clients": _CLIENTS,
        "lost_quartiles": {name: _quartiles(found) for name, found in lost.items()},
        "more_cpu_quartiles": {name: _quartiles(found) for name, found in more_cpu.items()},
        **details(figures),
    }
    return {"tracing.overhead_at_1_percent": Ratio(statistics.median(lost["one_percent"]), detail)}


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
