"""A whole service of real processes, on the small data set, for tests that use and disturb it."""

import os
import signal
import time
from collections.abc import Callable, Iterator
from importlib.util import find_spec
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from deploy.local import Local, running
from hxserve import Client
from hxserve.jobs import Job
from services.settings import Settings, load_settings
from worker.learning.datasets import load_dataset

MODEL = "digits"
TRAINING: dict[str, Any] = {"recipe": "strong", "dataset": "digits", "epochs": 5}
PATIENCE_S = 60.0
GRPC_PORT = 0 if find_spec("grpc") else None
"""Any free one, where the extra is installed."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Everything in this folder starts real processes."""
    for item in items:
        if "tests/system" in item.path.as_posix():
            item.add_marker(pytest.mark.system)


@pytest.fixture(scope="session")
def settings(tmp_path_factory: pytest.TempPathFactory) -> Settings:
    """Settings of a service whose saves are frequent, so that little is done twice."""
    return load_settings(
        data_dir=tmp_path_factory.mktemp("service"), chip="mock", port=0, grpc_port=0, save_every_s=0.3
    )


@pytest.fixture(scope="session")
def local(settings: Settings) -> Iterator[Local]:
    """Redis, one worker on the mock, the API, and the process of gRPC."""
    with running(settings) as local:
        yield local


@pytest.fixture
def client(local: Local) -> Iterator[Client]:
    """A client of the service."""
    with Client(local.url, local.token) as client:
        yield client


@pytest.fixture(scope="session")
def trained(local: Local) -> Job:
    """A training that nothing disturbed."""
    with Client(local.url, local.token) as client:
        return client.train(MODEL, wait=True, **TRAINING)


@pytest.fixture(scope="session")
def test_digits() -> tuple[NDArray[np.uint8], NDArray[np.int64]]:
    """Crops (n, 28, 28) and their labels (n,) that no training here has seen."""
    dataset = load_dataset("digits")
    return dataset.test_images.numpy(), dataset.test_labels.numpy()


def kill_worker(local: Local) -> None:
    """Kills the worker as if the machine's memory ran out, and starts it again as a supervisor would."""
    worker = local.processes["worker"]
    os.kill(worker.pid, signal.SIGKILL)
    wait_until(lambda: worker.exit_status() is not None)
    worker.revive()


def wait_until(condition: Callable[[], bool]) -> None:
    """Returns when the condition holds; fails when it never does."""
    until = time.monotonic() + PATIENCE_S
    while not condition():
        assert time.monotonic() < until, "waited in vain"
        time.sleep(0.01)
