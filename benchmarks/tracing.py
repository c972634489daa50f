"""Group `tracing`: what traces cost, by the share of requests that is sampled."""

import statistics
import threading
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Final

from benchmarks.alternatives import Round, details, measure_round, summarise_rounds
from benchmarks.context import Context, say
from benchmarks.results import Ratio, Target
from benchmarks.serving import trained_service

TARGETS: Final[Mapping[str, Target]] = {"tracing.overhead_at_1_percent": Target(0.02, "lower")}

_CLIENTS: Final = 32
_ROUNDS: Final = 12
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
                rounds[alternative.name].append(measure_round(alternative, _CLIENTS, context.seconds / 4))
    figures = {name: summarise_rounds(name, series) for name, series in rounds.items()}
    overheads = {name: _overheads(rounds["off"], rounds[name]) for name in _SAMPLERS if name != "off"}
    detail: dict[str, Any] = {"clients": _CLIENTS, **details(figures)}
    detail["overhead"] = {name: round(statistics.median(found), 4) for name, found in overheads.items()}
    detail["quartiles"] = {
        name: [round(value, 4) for value in statistics.quantiles(found, n=4)[::2]]
        for name, found in overheads.items()
    }
    detail["more_cpu"] = {
        name: round(figures[name].cpu_ms_per_request / figures["off"].cpu_ms_per_request - 1, 4)
        for name in overheads
    }
    return {"tracing.overhead_at_1_percent": Ratio(statistics.median(overheads["one_percent"]), detail)}


def _overheads(without: list[Round], traced: list[Round]) -> list[float]:
    """Return the share of throughput that is lost, by round."""
    return [
        1 - ours.report.requests_per_s / theirs.report.requests_per_s
        for theirs, ours in zip(without, traced, strict=True)
    ]


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
