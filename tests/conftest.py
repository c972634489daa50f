"""What all tests may ask for: a real Redis, started by the suite itself, and the stores over it."""

import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from deploy.redis_server import redis_server
from services.chips.store import ChipStore, Lease
from services.crops.store import CropStore
from services.jobs.store import JobStore
from services.jobs.usage import UsageStore
from services.models.files import ModelStore
from services.store.connection import Connection
from tests.services.samples import CHIP, PLENTY, a_holder


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Start with the longest file, then those that start processes: short files level out the end.

    On CI, where others' load may hold a process up for seconds, a test of real processes that fails is run once
    more; the summary lists it under "rerun".
    """
    items.sort(
        key=lambda item: (item.path.name != "test_blocks.py", item.get_closest_marker("system") is None)
    )
    if os.environ.get("CI"):
        for item in items:
            if item.get_closest_marker("system"):
                item.add_marker(pytest.mark.flaky(reruns=1))


@pytest.fixture(scope="session")
def redis_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A Redis server of the test session's own."""
    folder: Path = tmp_path_factory.mktemp("redis")
    with redis_server(folder, folder / "redis.log") as (url, _):
        yield url


@pytest.fixture
def connection(redis_url: str) -> Iterator[Connection]:
    """A connection to an empty Redis."""
    connection = Connection(redis_url, retries=0)
    connection.client.flushall()
    yield connection
    connection.close()


@pytest.fixture
def short_folder() -> Iterator[Path]:
    """A folder whose path leaves room for the name of a socket, for a Redis of a test's own."""
    folder = Path(tempfile.mkdtemp(prefix="hx"))
    yield folder
    shutil.rmtree(folder)


@pytest.fixture
def chips(connection: Connection) -> ChipStore:
    return ChipStore(connection, lease_s=60)


@pytest.fixture
def lease(chips: ChipStore) -> Lease:
    """The lease of a chip that nobody had before."""
    return chips.take(CHIP, a_holder())


@pytest.fixture
def jobs(connection: Connection) -> JobStore:
    return JobStore(connection, keep_jobs_s=3600)


@pytest.fixture
def usage(connection: Connection) -> UsageStore:
    return UsageStore(connection)


@pytest.fixture
def crops(connection: Connection) -> CropStore:
    return CropStore(connection, max_waiting=PLENTY, keep_results_s=3600)


@pytest.fixture
def models(tmp_path: Path) -> ModelStore:
    """A registry without models."""
    return ModelStore(tmp_path / "models")
