"""Having crops classified, where the connection to Redis loses answers."""

import time
from collections.abc import Iterator, Sequence
from contextlib import closing

import pytest

from services.chips.affinity import Affinity
from services.chips.store import ChipStore
from services.crops.batcher import Batcher
from services.crops.classification import Classifications
from services.crops.listener import Listener
from services.crops.requests import CropRequest, JobReference
from services.crops.statistics import Statistics
from services.crops.store import Acceptance, CropStore
from services.errors import HxserveError
from services.jobs.record import JobState
from services.jobs.store import JobStore
from services.models.files import ModelStore
from services.models.registry import Registry
from services.store.connection import Connection
from services.users.authentication import User
from tests.services.samples import PLENTY, an_origin, some_crops


class _SendingAgain(CropStore):
    """A store whose every step is taken and sent again, as when its answer is lost with the connection."""

    def accept(
        self, reply_to: str, requests: Sequence[Acceptance]
    ) -> tuple[list[str], list[str | JobReference | HxserveError]]:
        """Take the step twice; return the second answer."""
        super().accept(reply_to, requests)
        return super().accept(reply_to, requests)


@pytest.fixture
def classifications(
    connection: Connection, jobs: JobStore, models: ModelStore, chips: ChipStore
) -> Iterator[Classifications]:
    models.publish(an_origin(), b"weights")
    store = _SendingAgain(connection, max_waiting=PLENTY, keep_results_s=3600)
    with closing(Listener(connection)) as listener:
        batcher = Batcher(store, listener, lambda _: None, Statistics())
        listener.start()
        batcher.start()
        yield Classifications(
            store,
            jobs,
            Registry(models),
            listener,
            batcher,
            Affinity(models, chips),
            Statistics(),
            max_crops=PLENTY,
        )
        batcher.stop()


@pytest.mark.parametrize("wait_s", [0.0, 0.1])
def test_a_job_that_was_accepted_twice_is_named_as_soon_as_its_client_stops_waiting(
    classifications: Classifications, jobs: JobStore, wait_s: float
) -> None:
    request = CropRequest(User("ada"), "digits", "latest", some_crops(65), wait_s=wait_s)
    started = time.monotonic()

    outcome = classifications.classify(request)

    assert isinstance(outcome, JobReference)
    assert jobs.get(outcome.job_id).state is JobState.QUEUED
    assert time.monotonic() - started < 2
