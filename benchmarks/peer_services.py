"""Model servers of others, each in its own environment, with the weights of one of our versions."""

import base64
import json
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from benchmarks.environments import peer_python
from benchmarks.load import build_request
from benchmarks.processes import ProcessError, Served, Started, free_port, started

_READY_LIMIT_S: Final = 60.0


@dataclass(frozen=True, slots=True)
class Peer:
    """How a peer is started and asked; `{port}` stands for the port."""

    name: str
    command: tuple[str, ...]
    path: str
    encode: Callable[[bytes], tuple[bytes, str]]

    def request(self, crops: bytes) -> bytes:
        """The bytes of a request for the load generator."""
        body, content_type = self.encode(crops)
        return build_request(self.path, body, content_type=content_type)


def _raw(crops: bytes) -> tuple[bytes, str]:
    return crops, "application/octet-stream"


def _base64_json(crops: bytes) -> tuple[bytes, str]:
    return json.dumps({"crops": base64.b64encode(crops).decode()}).encode(), "application/json"


MOSEC: Final = Peer(
    "mosec",
    ("-m", "benchmarks.mosec_server", "--address", "127.0.0.1", "--port", "{port}", "--log-level", "error"),
    "/inference",
    _raw,
)
LITSERVE: Final = Peer("litserve", ("-m", "benchmarks.litserve_server", "{port}"), "/predict", _base64_json)


@contextmanager
def running_peer(peer: Peer, folder: Path, version: Path) -> Iterator[Served]:
    """A peer that has answered its first request.

    Raises:
        PeerUnavailableError: when it cannot be installed here.
        ProcessError: when it does not start.
    """
    port = free_port()
    command = [str(peer_python(peer.name)), *(part.replace("{port}", str(port)) for part in peer.command)]
    with started(command, log=folder / f"{peer.name}.log", env={"BENCH_VERSION": str(version)}) as process:
        _await_answer(peer, process, port)
        yield Served(port, (process,))


def _await_answer(peer: Peer, process: Started, port: int) -> None:
    body, content_type = peer.encode(bytes(784))
    request = urllib.request.Request(  # our own address
        f"http://127.0.0.1:{port}{peer.path}", data=body, headers={"Content-Type": content_type}
    )
    deadline = time.monotonic() + _READY_LIMIT_S
    while True:
        try:
            with urllib.request.urlopen(request, timeout=30):  # noqa: S310  # our own address
                return
        except (urllib.error.URLError, OSError) as error:
            if process.ended or time.monotonic() > deadline:
                raise ProcessError(f"{peer.name} is not ready ({error}): {process.last_words()}") from error
            time.sleep(0.1)
