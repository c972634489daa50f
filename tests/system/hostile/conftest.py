"""The API as its own process over a real Redis and a chip without torch, to be treated badly."""

import json
import os
import socket
import sys
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from io import BufferedReader
from pathlib import Path
from typing import Any

import pytest

from deploy.ports import free_port
from deploy.supervision import Supervised
from services.models.files import ModelStore
from services.store.connection import Connection
from tests.api.requests import CLASSIFY, RAW, TOKEN
from tests.services.chip import Chip, open_chip
from tests.services.samples import an_origin
from tests.system.conftest import wait_until

HOST = "127.0.0.1"
PATIENCE_S = 30.0
"""A test's own wait for an answer, far beyond what the server allows its clients."""


@dataclass(frozen=True, slots=True)
class Server:
    """A running API, with the model `digits@1` and a chip that answers crops at once."""

    port: int
    data_dir: Path
    connection: Connection
    process: Supervised
    chip: Chip

    @property
    def url(self) -> str:
        """Where it answers."""
        return f"http://{HOST}:{self.port}"

    def log(self) -> str:
        """What it has written so far."""
        return self.process.log.read_text("utf-8", "replace")

    def answers(self) -> bool:
        """Whether a well-behaved client is served."""
        try:
            with urllib.request.urlopen(f"{self.url}/healthz", timeout=10) as answer:  # noqa: S310 our own address
                return bool(answer.status == 200)
        except (urllib.error.URLError, OSError):
            return False


@dataclass(frozen=True, slots=True)
class Answer:
    """An answer as it was sent; the names of its headers are in lower case."""

    status: int
    headers: Mapping[str, str]
    body: bytes

    def json(self) -> Any:
        """Return what the body says."""
        return json.loads(self.body)

    def scores(self) -> list[list[int]]:
        """Return the scores of each crop."""
        return [prediction["scores"] for prediction in self.json()["predictions"]]


@dataclass(frozen=True, slots=True)
class Client:
    """A connection on which a test says, byte for byte, what is sent."""

    socket: socket.socket
    _answers: BufferedReader

    def send(self, *pieces: bytes) -> None:
        """Send bytes."""
        self.socket.sendall(b"".join(pieces))

    def answer(self, *, has_body: bool = True) -> Answer:
        """Return the next answer; one without a body where the request's method, or the status, says so."""
        status = int(self._answers.readline().split()[1])
        lines = iter(self._answers.readline, b"\r\n")
        headers = {
            name.decode().lower(): value.strip().decode("latin-1")
            for name, _, value in (line.partition(b":") for line in lines)
        }
        length = int(headers.get("content-length", 0)) if has_body else 0
        return Answer(status, headers, self._answers.read(length))

    def is_silent(self, for_s: float) -> bool:
        """Return whether the server sends nothing for a time; the connection is of no use after it."""
        self.socket.settimeout(for_s)
        try:
            self._answers.read1()
        except TimeoutError:
            return True
        return False

    def rest(self) -> bytes:
        """Return what the server still sends, until it hangs up."""
        received = b""
        with suppress(ConnectionResetError):
            while piece := self._answers.read1():
                received += piece
        return received


@contextmanager
def connected(port: int) -> Iterator[Client]:
    """Connect to a server."""
    with (
        socket.create_connection((HOST, port), PATIENCE_S) as connection,
        connection.makefile("rb") as answers,
    ):
        yield Client(connection, answers)


def head(
    *headers: str,
    method: str = "POST",
    target: str = CLASSIFY,
    version: str = "1.1",
    token: str = TOKEN,
    kind: str = RAW,
) -> bytes:
    """Return a request without its body."""
    lines = [
        f"{method} {target} HTTP/{version}",
        "Host: x",
        f"Authorization: Bearer {token}",
        *([f"Content-Type: {kind}"] if method == "POST" else []),
        *headers,
    ]
    return "".join(f"{line}\r\n" for line in (*lines, "")).encode()


def classify(crops: bytes, *headers: str, target: str = CLASSIFY, token: str = TOKEN) -> bytes:
    """Return a request to classify crops."""
    return head(f"Content-Length: {len(crops)}", *headers, target=target, token=token) + crops


@contextmanager
def serving(redis_url: str, folder: Path, limits: Mapping[str, str]) -> Iterator[Server]:
    """A server whose data are in `folder`, with settings of its own."""
    (folder / "admin-token").write_text(TOKEN)
    ModelStore(folder / "models").publish(an_origin(), b"weights")
    connection = Connection(redis_url, retries=0)
    connection.client.flushall()
    port = free_port(HOST, 0)
    environment = {
        **os.environ,
        "HXSERVE_REDIS_URL": redis_url,
        "HXSERVE_DATA_DIR": str(folder),
        "HXSERVE_PORT": str(port),
        "HXSERVE_MAX_BODY_BYTES": str(2**20),
        "HXSERVE_LOG_LEVEL": "debug",
        **limits,
    }
    with open_chip(connection) as chip:
        process = Supervised(
            "api", [sys.executable, "-m", "api"], folder / "api.log", environment=environment
        )
        try:
            chip.start()
            server = Server(port, folder, connection, process, chip)
            wait_until(server.answers)
            yield server
        finally:
            process.stop()
    connection.close()


@pytest.fixture(scope="module")
def server(redis_url: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server for the tests of one file."""
    with serving(redis_url, tmp_path_factory.mktemp("api"), {}) as server:
        yield server
