"""`python -m benchmarks.wsgi_servers`: WSGI servers side by side, for the decision which one serves the API.

Bare Flask behind each server, one process each, answering 784 bytes at once (`/plain`), after some 5 ms that the
request waits on an event set by another thread (`/wait`), or when the crop has come back through a Redis stream
that one thread reads (`/redis`, the API's own pattern), without and with 500 connections that hold a long poll.
"""

import argparse
import json
import platform
import statistics
import tempfile
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from benchmarks.environments import peer_python
from benchmarks.load import LoadPlan, apply_load, build_request
from benchmarks.processes import free_port, started
from benchmarks.redis_server import redis_server

IDLE = 500
_THREADS = IDLE + 100


@dataclass(frozen=True, slots=True)
class Server:
    """A server and the command that starts it; `{port}` stands for the port."""

    name: str
    command: tuple[str, ...]

    def command_for(self, python: str, port: int) -> list[str]:
        """The whole command."""
        return [python, *(part.replace("{port}", str(port)) for part in self.command)]


def all_servers(name_part: str = "") -> list[Server]:
    """The candidates, each in a configuration that can hold the idle connections."""
    factory = "benchmarks.wsgi_app:create_app()"
    gunicorn = (
        "-m",
        "gunicorn",
        "--log-level",
        "error",
        "-w",
        "1",
        "-b",
        "127.0.0.1:{port}",
        "--backlog",
        "1024",
    )
    servers = [
        Server("gevent pywsgi", ("-m", "benchmarks.wsgi_gevent", "{port}", "plain")),
        Server("gevent pywsgi, bounded", ("-m", "benchmarks.wsgi_gevent", "{port}", "bounded")),
        Server("gunicorn gevent", (*gunicorn, "-k", "gevent", "--worker-connections", "2000", factory)),
        Server("gunicorn gthread", (*gunicorn, "-k", "gthread", "--threads", str(_THREADS), factory)),
        Server(
            "granian threads",
            (
                *("-m", "granian", "--interface", "wsgi", "--port", "{port}", "--workers", "1", "--no-ws"),
                *("--blocking-threads", str(_THREADS), "--backpressure", str(_THREADS)),
                *("--log-level", "error", "--factory", "benchmarks.wsgi_app:create_app"),
            ),
        ),
        Server(
            "waitress",
            (
                *("-m", "waitress", "--listen", "127.0.0.1:{port}", "--threads", str(_THREADS)),
                *("--connection-limit", "2000", "--call", "benchmarks.wsgi_app:create_app"),
            ),
        ),
    ]
    return [server for server in servers if name_part in server.name]


def _loads() -> Iterable[tuple[str, int, int]]:
    yield "/plain", 32, 0
    for path in ("/wait", "/redis"):
        yield path, 32, 0
        yield path, 64, 0
    yield "/redis", 32, IDLE


def _measure(server: Server, python: Path, load: tuple[str, int, int], seconds: float) -> dict[str, float]:
    """One load on a server started afresh."""
    path, clients, idle = load
    port = free_port()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        with (
            redis_server(folder) as (redis_url, _),
            started(
                server.command_for(str(python), port),
                log=folder / "log",
                env={"WSGI_REDIS_URL": redis_url},
                port=port,
            ) as process,
        ):
            report = apply_load(
                LoadPlan(
                    port=port,
                    requests=(build_request(path, bytes(784)),),
                    answer_pattern=r'"digit": (\d)',
                    answers=(("7",),),
                    clients=clients,
                    seconds=seconds,
                    idle_clients=idle,
                    idle_request=build_request("/poll", bytes(1)),
                )
            )
            memory_mib = process.memory_mib()
    if report.errors or report.wrong:
        print(f"{server.name}: {report.errors} errors, {report.wrong} wrong; first: {report.first_error}")
    return {
        "requests_per_s": report.requests_per_s,
        "p50_ms": report.p50_ms,
        "p99_ms": report.p99_ms,
        "memory_mib": memory_mib,
    }


def main() -> None:
    """Measures every server in turn, several rounds, and prints medians: one table, then JSON."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=3.0)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--server", default="", help="only servers whose name contains this")
    arguments = parser.parse_args()
    python = peer_python("wsgi")
    measured: dict[tuple[str, str], list[dict[str, float]]] = {}
    for _ in range(arguments.rounds):
        for load in _loads():
            for server in all_servers(arguments.server):
                title = f"{load[0]} {load[1]} clients" + (f", {load[2]} idle" if load[2] else "")
                series = measured.setdefault((title, server.name), [])
                series.append(_measure(server, python, load, arguments.seconds))
    rows = []
    for (title, name), series in measured.items():
        medians = {key: round(statistics.median(one[key] for one in series), 1) for key in series[0]}
        rows.append({"load": title, "server": name, **medians})
        print(
            f"{title:28} {name:22} {medians['requests_per_s']:>7.0f}/s  p50 {medians['p50_ms']:>5} ms"
            f"  p99 {medians['p99_ms']:>6} ms  {medians['memory_mib']:>4.0f} MiB"
        )
    print(json.dumps({"machine": platform.platform(), "rounds": arguments.rounds, "rows": rows}))


if __name__ == "__main__":
    main()
