"""A service of the tests' own, and a client of it."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from hxserve import Client
from tests.client.service import TOKEN, Service, running


@pytest.fixture(autouse=True)
def _elsewhere(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """No address of a real service is found."""
    for variable in ("HXSERVE_URL", "HXSERVE_TOKEN", "HXSERVE_DATA_DIR"):
        monkeypatch.delenv(variable, raising=False)
    monkeypatch.chdir(tmp_path)


@pytest.fixture
def service() -> Iterator[Service]:
    with running(Service()) as service:
        yield service


@pytest.fixture
def client(service: Service) -> Iterator[Client]:
    with Client(service.url, TOKEN, backoff_s=0.0, patience_s=5.0, timeout_s=10.0) as client:
        yield client
