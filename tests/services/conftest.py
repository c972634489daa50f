"""What the tests of services share: the stores over an empty Redis, a lease, a registry."""

from pathlib import Path

import pytest

from services.models import ModelStore
from services.store.chips import ChipStore, Lease
from services.store.connection import Connection
from services.store.crops import CropStore
from services.store.jobs import JobStore
from tests.services.samples import CHIP, PLENTY, a_holder


@pytest.fixture
def chips(connection: Connection) -> ChipStore:
    return ChipStore(connection, lease_s=60)


@pytest.fixture
def lease(chips: ChipStore) -> Lease:
    return chips.take(CHIP, a_holder())


@pytest.fixture
def jobs(connection: Connection) -> JobStore:
    return JobStore(connection, keep_jobs_s=3600)


@pytest.fixture
def crops(connection: Connection) -> CropStore:
    return CropStore(connection, max_waiting=PLENTY, keep_results_s=3600)


@pytest.fixture
def models(tmp_path: Path) -> ModelStore:
    return ModelStore(tmp_path / "models")
