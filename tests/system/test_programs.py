"""Operations of programs through the real processes, over a socket, also while these are killed."""

import os
import signal
import threading
import time
import uuid
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import urllib3
from numpy.typing import NDArray
from safetensors.numpy import load, save

from api.operations import MEDIA_TYPE
from deploy.local import Local, running
from hxserve import Client
from hxserve.programs.remote_chip import RemoteChip
from hxtorch_emulator.perceptron import constants
from services.settings import load_settings
from services.store.connection import Connection
from tests.system.conftest import TRAINING, wait_until

ROWS, COLUMNS = 200, 12


@dataclass
class Program:
    """A foreign client: it knows HTTP and safetensors."""

    local: Local
    session: str = ""

    def __post_init__(self) -> None:
        headers = {"Authorization": f"Bearer {self.local.token}"}
        self._pool = urllib3.PoolManager(headers=headers, retries=False, timeout=30)
        self._headers = headers
        wait_until(lambda: self._open() == 201)

    def _open(self) -> int:
        answer = self._pool.request("POST", f"{self.local.url}/v1/chip/sessions", json={"program": "test"})
        self.session = answer.json().get("id", "")
        return answer.status

    def run(self, inputs: NDArray[np.uint8], weights: NDArray[np.int8]) -> NDArray[np.int8]:
        """Returns the readouts of an operation, which is sent under one name until it is answered."""
        name, body = uuid.uuid4().hex, save({"inputs": inputs, "weights": weights})
        until = time.monotonic() + 60
        while True:
            try:
                answer = self._send(name, body)
            except urllib3.exceptions.HTTPError:
                answer = None
            if answer is not None and answer.status == 200:
                return load(answer.data)["readouts"]
            assert answer is None or answer.json()["retryable"], answer.data
            assert time.monotonic() < until
            time.sleep(0.05)

    def _send(self, name: str, body: bytes) -> urllib3.BaseHTTPResponse:
        return self._pool.request(
            "POST",
            f"{self.local.url}/v1/chip/sessions/{self.session}/operations",
            body=body,
            headers=self._headers | {"Content-Type": MEDIA_TYPE, "Idempotency-Key": name},
        )

    def show(self) -> dict[str, Any]:
        """Returns the session's record."""
        shown: dict[str, Any] = self._pool.request(
            "GET", f"{self.local.url}/v1/chip/sessions/{self.session}"
        ).json()
        return shown


def _operation(seed: int, batch: int = 4) -> tuple[NDArray[np.uint8], NDArray[np.int8]]:
    random = np.random.default_rng(seed)
    return (
        random.integers(0, 32, (batch, ROWS), np.uint8),
        random.integers(-63, 64, (ROWS, COLUMNS), np.int8),
    )


def _ideal(inputs: NDArray[np.uint8], weights: NDArray[np.int8]) -> NDArray[np.float64]:
    """The readouts of a chip with gain 0.002 and no noise, before they are cut to whole numbers."""
    tiles = [
        0.002 * inputs[:, start : start + 128].astype(np.float64) @ weights[start : start + 128]
        for start in range(0, ROWS, constants.hardware_matrix_height)
    ]
    total: NDArray[np.float64] = np.sum(tiles, axis=0)
    return total


@pytest.fixture(scope="module")
def data_dir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The service's data folder."""
    folder: Path = tmp_path_factory.mktemp("programs")
    return folder


@pytest.fixture(scope="module")
def of_programs(data_dir: Path) -> Iterator[Local]:
    """A service of its own, whose processes are killed."""
    settings = load_settings(data_dir=data_dir, chip="mock", port=0, save_every_s=0.3, lease_s=2)
    with running(settings) as local:
        yield local


def test_readouts_come_back_in_the_order_of_the_chips_arithmetic(of_programs: Local) -> None:
    program = Program(of_programs)

    for seed in range(10):
        inputs, weights = _operation(seed)
        readouts = program.run(inputs, weights)

        ideal = _ideal(inputs, weights)
        assert readouts.shape == ideal.shape
        # Two tiles, each with noise of 2 LSB and cut down to a whole number.
        assert np.abs(readouts - np.clip(ideal, -128, 127)).max() < 18
        assert np.corrcoef(readouts.ravel(), ideal.ravel())[0, 1] > 0.9
    shown = program.show()
    assert (shown["operations"], shown["position"]) == (10, None)
    assert shown["chip_time_s"] > 0


def test_weights_that_are_gone_are_sent_again_at_once(of_programs: Local, data_dir: Path) -> None:
    Program(of_programs)  # returns when the chip takes programs
    chip = RemoteChip(of_programs.url, of_programs.token, program="test", patience_s=3600.0)
    chip.open(None)
    inputs, weights = (torch.from_numpy(numbers.astype(np.float32)) for numbers in _operation(1))

    def multiply() -> torch.Size:
        return chip.multiply(inputs, weights, num_sends=1, wait_between_events=5).shape

    before = [multiply() for _ in range(3)]
    with closing(Connection(f"unix://{data_dir}/redis/redis.sock")) as connection:
        kept: Any = connection.client.keys("hx:program:*:weights")
        gone = connection.client.delete(*kept)
    after = [multiply() for _ in range(3)]
    chip.close()

    assert gone == 1
    assert {*before, *after} == {torch.Size([4, COLUMNS])}


@pytest.mark.parametrize("process", ["worker", "api", "redis"])
def test_a_program_goes_on_when_a_process_is_killed(of_programs: Local, process: str) -> None:
    program = Program(of_programs)
    answered: list[int] = []
    stopping = threading.Event()

    def work() -> None:
        seed = 0
        while not stopping.is_set():
            inputs, weights = _operation(seed)
            readouts = program.run(inputs, weights)
            assert np.corrcoef(readouts.ravel(), _ideal(inputs, weights).ravel())[0, 1] > 0.9
            answered.append(seed)
            seed += 1

    with ThreadPoolExecutor(1) as pool:
        working = pool.submit(work)
        wait_until(lambda: len(answered) >= 20 or working.done())
        killed = of_programs.processes[process]
        os.kill(killed.pid, signal.SIGKILL)
        wait_until(lambda: killed.exit_status() is not None)
        killed.revive()
        before = len(answered)
        wait_until(lambda: len(answered) >= before + 20 or working.done())
        stopping.set()
        working.result()

    # An operation whose answer was stored when its worker died is counted once, one that was not is run again.
    assert program.show()["operations"] == len(answered)


def test_programs_trainings_and_crops_get_on_beside_each_other(of_programs: Local) -> None:
    with Client(of_programs.url, of_programs.token) as client:
        trained = client.train("beside", **TRAINING)
        programs = [Program(of_programs) for _ in range(2)]
        with ThreadPoolExecutor(2) as pool:
            done = [
                pool.submit(lambda program: [program.run(*_operation(seed)) for seed in range(50)], program)
                for program in programs
            ]
            assert all(len(each.result()) == 50 for each in done)
        assert client.wait(trained.id).state == "succeeded"
        assert client.classify(np.zeros((1, 28, 28), np.uint8), "beside")
        assert {job.kind for job in client.jobs(kind="program")} == {"program"}
