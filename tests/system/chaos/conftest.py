"""One service for all that is disturbed, what it answers undisturbed, and a table of what it went through."""

import os
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from random import Random
from typing import Any, Final

import pytest

from hxserve import Client
from hxserve.jobs import Job
from services.settings import Settings, load_settings
from tests.system.chaos.crops import prepared_crops
from tests.system.chaos.service import Service, disturbable
from tests.system.chaos.stream import Crops, Tally
from tests.system.conftest import GRPC_PORT

LONG: Final = os.environ.get("CHAOS") == "long"
"""`make chaos` sets it: more of everything, the numbers of the promise."""

_ROWS = pytest.StashKey[list[str]]()


@dataclass(frozen=True, slots=True)
class Extent:
    """How much is disturbed, and how long the training is that it happens to."""

    kills: int
    epochs: int
    crops_s: float
    """How long a stream runs after the last disturbance."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """What is disturbed takes longer than what is not."""
    for item in items:
        if "tests/system/chaos" in item.path.as_posix():
            item.add_marker(pytest.mark.timeout(1800 if LONG else 300))


@pytest.fixture(scope="session")
def extent() -> Extent:
    """Short in the tests, long in `make chaos`."""
    return Extent(kills=20, epochs=60, crops_s=3.0) if LONG else Extent(kills=1, epochs=5, crops_s=0.5)


@pytest.fixture
def randomly() -> Random:
    """The only source of chance; its seed is shown when a test fails."""
    seed = int(os.environ.get("CHAOS_SEED", "0")) or time.time_ns() % 1_000_000
    print(f"chaos seed: {seed}; repeat with CHAOS_SEED={seed}")  # noqa: T201 pytest shows it on failure
    return Random(seed)


@pytest.fixture(scope="session")
def settings(tmp_path_factory: pytest.TempPathFactory) -> Settings:
    """Settings of a service whose saves are frequent, so that little is done twice."""
    folder = tmp_path_factory.mktemp("chaos")
    return load_settings(
        data_dir=folder,
        chip="mock",
        port=0,
        grpc_port=GRPC_PORT,
        save_every_s=0.3,
        log_level="info",
        webhook_networks="127.0.0.0/8",
    )


@pytest.fixture(scope="session")
def whole_service(settings: Settings) -> Iterator[Service]:
    """The service, for all tests."""
    with disturbable(settings) as service:
        yield service


@pytest.fixture
def service(whole_service: Service) -> Iterator[Service]:
    """The service, whole again before and after each test."""
    wait_until_ready(whole_service)
    yield whole_service
    whole_service.held.clear()
    wait_until_ready(whole_service)


@pytest.fixture
def client(service: Service) -> Iterator[Client]:
    """A patient client."""
    with service.client() as client:
        yield client


@pytest.fixture(scope="session")
def undisturbed(whole_service: Service, extent: Extent) -> Job:
    """The training that the disturbed ones are compared with."""
    with whole_service.client() as client:
        return client.train("undisturbed", wait=True, **training_of(extent))


@pytest.fixture(scope="session")
def crops(whole_service: Service) -> Crops:
    """Crops, and what is read in them when nothing is disturbed."""
    return prepared_crops(whole_service)


@dataclass
class Summary:
    """A test's line in the table at the end."""

    fault: str
    disturbed: int = 0
    crops: int = 0
    jobs: int = 0
    recoveries_s: list[float] = field(default_factory=list)

    def note(self, disturbed: int, tally: Tally | None = None, *, jobs: int) -> None:
        """What was counted."""
        self.disturbed, self.jobs = disturbed, jobs
        self.crops = tally.answered if tally else 0

    def __str__(self) -> str:
        slowest = f"{max(self.recoveries_s):9.1f}" if self.recoveries_s else " " * 9
        return f"{self.fault:<58}{self.disturbed:>10}{self.crops:>9}{self.jobs:>7}{slowest}"


@pytest.fixture
def summary(request: pytest.FixtureRequest) -> Iterator[Summary]:
    """What a test went through, printed at the end of the session."""
    name: str = request.node.name
    summary = Summary(name.removeprefix("test_").replace("_", " ")[:56])
    yield summary
    request.config.stash.setdefault(_ROWS, []).append(str(summary))


def pytest_terminal_summary(terminalreporter: Any, config: pytest.Config) -> None:
    """Prints the table."""
    rows = config.stash.get(_ROWS, [])
    if rows:
        terminalreporter.section("chaos")
        header = f"{'fault':<58}{'disturbed':>10}{'crops':>9}{'jobs':>7}{'slowest s':>9}"
        for row in (header, *rows):
            terminalreporter.write_line(row)


def training_of(extent: Extent) -> dict[str, Any]:
    """A training that takes about as long as what is done to it."""
    return {"recipe": "strong", "dataset": "digits", "epochs": extent.epochs}


def wait_until_ready(service: Service) -> float:
    """Returns when the service takes work; says after how many seconds."""
    with Client(service.local.url, service.local.token, retries=0) as client:
        return service.until(client.is_ready, "readiness")
