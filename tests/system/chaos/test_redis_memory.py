"""Redis has no memory left: everything says so and waits, nothing is lost, and it goes on when there is room."""

from collections.abc import Iterator
from contextlib import contextmanager
from random import Random

import pytest

from hxserve import Client
from hxserve.errors import ServiceError
from hxserve.jobs import Job
from tests.system.chaos.conftest import Extent, Summary, training_of, wait_until_ready
from tests.system.chaos.service import Service
from tests.system.chaos.stream import Crops, streaming
from tests.system.chaos.verification import assert_nothing_lost, weights_of

pytestmark = pytest.mark.long


@contextmanager
def _no_memory(service: Service) -> Iterator[None]:
    """Redis may use less memory than it does."""
    with service.connection() as connection:
        connection.client.config_set("maxmemory", 1)
        yield
        connection.client.config_set("maxmemory", 0)


def test_without_memory_in_redis_work_is_refused_with_the_reason_and_nothing_accepted_is_lost(
    service: Service,
    client: Client,
    undisturbed: Job,
    crops: Crops,
    extent: Extent,
    randomly: Random,
    summary: Summary,
) -> None:
    pid = service.pid("api")
    with streaming(service, crops, randomly.randrange(1000)) as tally:
        job = client.train("memory", **training_of(extent))
        service.let_pass(1.0)
        with _no_memory(service), Client(service.local.url, service.local.token, retries=0) as impatient:
            with pytest.raises(ServiceError) as of_job:
                impatient.train("refused", **training_of(extent))
            with pytest.raises(ServiceError) as of_crops:
                impatient.classify(crops.images[:3], crops.model, crops.version)
            service.let_pass(randomly.uniform(1.0, 6.0))
        summary.recoveries_s.append(wait_until_ready(service))
        training = service.ended(job)

    summary.note(1, tally, jobs=assert_nothing_lost(service, tally))
    for refused in (of_job, of_crops):
        assert (refused.value.status, refused.value.code) == (503, "store_unavailable")
        assert "maxmemory" in refused.value.detail
    assert (training.state, weights_of(training)) == ("succeeded", weights_of(undisturbed))
    assert service.pid("api") == pid
