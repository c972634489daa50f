"""The API as its own process over a real Redis and a chip without torch, to be treated badly."""

import os
import sys
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from deploy.local import free_port
from deploy.supervision import Supervised
from services.models.files import ModelStore
from services.store.connection import Connection
from tests.api.requests import TOKEN
from tests.services.chip import Chip, open_chip
from tests.services.samples import an_origin
from tests.system.conftest import wait_until

HOST = "127.0.0.1"


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
