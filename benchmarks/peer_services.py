"""Model servers of others, each in its own environment, with the weights of one of our versions."""

import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from benchmarks.environments import peer_python
from benchmarks.formats import BASE64_JSON, RAW, V2_BINARY, Format
from benchmarks.processes import ProcessError, Served, Started, free_port, started

_READY_LIMIT_S: Final = 60.0


@dataclass(frozen=True, slots=True)
class Peer:
    """How a peer is started and asked; `{port}` stands for the port."""

    name: str
    command: tuple[str, ...]
    path: str
    form: Format


MOSEC: Final = Peer(
    "mosec",
    ("-m", "benchmarks.mosec_server", "--address", "127.0.0.1", "--port", "{port}", "--log-level", "error"),
    "/inference",
    RAW,
)
LITSERVE: Final = Peer("litserve", ("-m", "benchmarks.litserve_server", "{port}"), "/predict", BASE64_JSON)
TRITON: Final = Peer(
    "triton", ("-m", "benchmarks.triton_server", "{port}"), "/v2/models/digits/infer", V2_BINARY
)


@contextmanager
def running_peer(peer: Peer, folder: Path, version: Path) -> Iterator[Served]:
    """A peer that has answered its first request.

    Raises:
        PeerUnavailableError: when it cannot be installed here.
        ProcessError: when it does not start.
    """
    port = free_port()
    command = [str(peer_python(peer.name)), *(part.replace("{port}", str(port)) for part in peer.command)]
    env = {"BENCH_VERSION": str(version), "BENCH_FOLDER": str(folder)}
    with started(command, log=folder / f"{peer.name}.log", env=env) as process:
        _await_answer(peer, process, port)
        yield Served(port, (process,))


def _await_answer(peer: Peer, process: Started, port: int) -> None:
    body, headers = peer.form.encode(bytes(784))
    request = urllib.request.Request(  # our own address
        f"http://127.0.0.1:{port}{peer.path}", data=body, headers=dict(headers)
    )
    deadline = time.monotonic() + _READY_LIMIT_S
    while True:
        try:
            with urllib.request.urlopen(request, timeout=30):  # noqa: S310  # our own address
                return
        except (urllib.error.URLError, OSError) as error:
            if process.ended or time.monotonic() > deadline:
                raise ProcessError(f"{peer.name} is not ready ({error}): {process.log_tail()}") from error
            time.sleep(0.1)
