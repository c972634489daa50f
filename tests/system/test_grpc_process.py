"""The process of gRPC as an operator starts it: its metrics, its encryption, and settings that cannot be."""

import os
import shutil
import signal
import socket
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

import grpc
import pytest

from api.grpc.messages import SERVICE
from deploy.ports import free_port
from deploy.supervision import Supervised
from tests.api.grpc import CREDENTIALS, Stub, infer_request
from tests.api.requests import TOKEN
from tests.needs import needed
from tests.system.conftest import wait_until
from tests.system.hostile.conftest import HOST, Server, serving

COUNTED = f'hxserve_request_seconds_count{{method="POST",route="/{SERVICE}/ModelInfer",status="200"}}'


@pytest.fixture(scope="module")
def server(redis_url: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """An API, a chip and a model."""
    with serving(redis_url, tmp_path_factory.mktemp("api"), {}) as server:
        yield server


@dataclass
class Process:
    """A process of gRPC beside the API."""

    supervised: Supervised
    port: int
    metrics_port: int

    def scrape(self, path: str = "/metrics", token: str = TOKEN) -> str:
        """What it answers over HTTP."""
        request = urllib.request.Request(f"http://{HOST}:{self.metrics_port}{path}")
        request.add_header("Authorization", f"Bearer {token}")
        with urllib.request.urlopen(request, timeout=30) as answer:  # noqa: S310 our own address
            text: str = answer.read().decode()
            return text


def environment_of(server: Server, redis_url: str, **settings: object) -> dict[str, str]:
    """The variables of a process beside an API."""
    own = {"REDIS_URL": redis_url, "DATA_DIR": server.data_dir, **settings}
    return {**os.environ, **{f"HXSERVE_{name}": str(value) for name, value in own.items()}}


@contextmanager
def beside(server: Server, redis_url: str, **settings: object) -> Iterator[Process]:
    """A process of gRPC beside an API, when it takes calls."""
    port, metrics_port = free_port(HOST, 0), free_port(HOST, 0)
    environment = environment_of(
        server, redis_url, GRPC_PORT=port, GRPC_METRICS_PORT=metrics_port, **settings
    )
    log = server.data_dir / f"grpc-{port}.log"
    supervised = Supervised("grpc", [sys.executable, "-m", "api.grpc"], log, environment=environment)
    try:
        wait_until(lambda: "listening" in log.read_text())
        yield Process(supervised, port, metrics_port)
    finally:
        supervised.stop()


@pytest.fixture(scope="module")
def process(server: Server, redis_url: str) -> Iterator[Process]:
    """The process for most tests."""
    with beside(server, redis_url) as process:
        yield process


@pytest.fixture
def stub(process: Process) -> Iterator[Stub]:
    with grpc.insecure_channel(f"{HOST}:{process.port}") as channel:
        yield Stub(channel)


def test_its_metrics_count_its_calls_and_need_a_token(process: Process, stub: Stub) -> None:
    stub("ModelInfer", infer_request())

    assert f"{COUNTED} " in process.scrape()
    for path, token, status in (("/metrics", "wrong", 401), ("/elsewhere", TOKEN, 404)):
        with pytest.raises(urllib.error.HTTPError) as refusal:
            process.scrape(path, token)
        assert refusal.value.code == status
        refusal.value.close()


@pytest.mark.parametrize(
    "sent", [b"GET / HTTP/1.1\r\n\r\n", os.urandom(4096), b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + b"\xff" * 999]
)
def test_what_is_no_call_upsets_nobody(process: Process, stub: Stub, sent: bytes) -> None:
    with socket.create_connection((HOST, process.port), timeout=30) as stranger:
        stranger.sendall(sent)

        assert len(stub("ModelInfer", infer_request()).outputs) == 3


def test_connections_that_say_nothing_keep_nobody_out(process: Process, stub: Stub) -> None:
    with ExitStack() as stack:
        for _ in range(500):
            stack.enter_context(socket.create_connection((HOST, process.port), timeout=30))

        assert len(stub("ModelInfer", infer_request()).outputs) == 3


def test_a_message_that_grows_when_it_is_decompressed_is_refused(server: Server, redis_url: str) -> None:
    bomb = bytes(2**24)
    with (
        beside(server, redis_url, MAX_BODY_BYTES=2**20) as process,
        grpc.insecure_channel(f"{HOST}:{process.port}", compression=grpc.Compression.Gzip) as channel,
    ):
        call = channel.unary_unary(f"/{SERVICE}/ModelInfer")
        with pytest.raises(grpc.RpcError) as refusal:
            call(bomb, metadata=CREDENTIALS, timeout=30)

    assert refusal.value.code() is grpc.StatusCode.RESOURCE_EXHAUSTED


def test_it_stops_when_its_calls_are_answered(server: Server, redis_url: str) -> None:
    with beside(server, redis_url) as process, grpc.insecure_channel(f"{HOST}:{process.port}") as channel:
        with server.chip.held():
            call = Stub(channel).start("ModelInfer", infer_request())
            wait_until(lambda: server.connection.client.hlen("hx:crops:waiting") == 1)
            os.kill(process.supervised.pid, signal.SIGTERM)
            wait_until(lambda: _is_refused(process.port))

        assert len(call.result(timeout=30).outputs) == 3
        wait_until(lambda: process.supervised.exit_status() == 0)


def _is_refused(port: int) -> bool:
    """Whether a port takes no more connections."""
    try:
        socket.create_connection((HOST, port), timeout=30).close()
    except ConnectionRefusedError:
        return True
    return False


def test_with_a_certificate_calls_are_encrypted(server: Server, redis_url: str, tmp_path: Path) -> None:
    key, certificate = tmp_path / "key.pem", tmp_path / "certificate.pem"
    openssl = needed(shutil.which("openssl"), "there is no openssl")
    subprocess.run(
        [
            *(openssl, "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2"),
            *("-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost"),
            *("-keyout", str(key), "-out", str(certificate)),
        ],
        check=True,
        capture_output=True,
    )
    trust = grpc.ssl_channel_credentials(certificate.read_bytes())
    with beside(server, redis_url, GRPC_CERTIFICATE=certificate, GRPC_KEY=key) as process:
        address = f"localhost:{process.port}"
        with grpc.secure_channel(address, trust) as channel:
            assert len(Stub(channel)("ModelInfer", infer_request()).outputs) == 3
        with grpc.insecure_channel(address) as plain, pytest.raises(grpc.RpcError) as refusal:
            Stub(plain)("ServerLive", timeout=10)

    assert refusal.value.code() is grpc.StatusCode.UNAVAILABLE


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({}, "HXSERVE_GRPC_PORT is not set"),
        ({"GRPC_PORT": 0, "GRPC_KEY": "key.pem"}, "belong together"),
        ({"GRPC_PORT": 0, "GRPC_KEY": "no.pem", "GRPC_CERTIFICATE": "no.pem"}, "no.pem cannot be read"),
    ],
)
def test_settings_that_cannot_be_are_named(
    server: Server, redis_url: str, settings: dict[str, object], said: str
) -> None:
    environment = environment_of(server, redis_url, **settings)

    done = subprocess.run(
        [sys.executable, "-m", "api.grpc"], env=environment, capture_output=True, text=True, check=False
    )

    assert done.returncode == 1
    assert said in done.stderr
    assert "Traceback" not in done.stderr


def test_a_port_that_is_taken_is_named(server: Server, redis_url: str, process: Process) -> None:
    environment = environment_of(server, redis_url, GRPC_PORT=process.port)

    done = subprocess.run(
        [sys.executable, "-m", "api.grpc"], env=environment, capture_output=True, text=True, check=False
    )

    assert done.returncode == 1
    assert f"{HOST}:{process.port} cannot be served" in done.stderr
