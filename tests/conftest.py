"""What all tests may ask for: a real Redis, started by the suite itself."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from deploy.redis_server import redis_server
from services.store.connection import Connection


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
