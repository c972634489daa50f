"""Redis is killed and comes back with its append-only file."""

from random import Random

import pytest

from hxserve import Client
from hxserve.errors import ServiceError
from hxserve.jobs import Job
from tests.system.chaos.conftest import Extent, Summary, training_of
from tests.system.chaos.service import Service
from tests.system.chaos.stream import Crops, streaming
from tests.system.chaos.verification import assert_nothing_lost, weights_of


def test_redis_killed_at_random_during_a_training_and_a_stream_of_crops(
    service: Service,
    client: Client,
    undisturbed: Job,
    crops: Crops,
    extent: Extent,
    randomly: Random,
    summary: Summary,
) -> None:
    with streaming(service, crops, randomly.randrange(1000)) as tally:
        job = client.train("redis", **training_of(extent))
        for _ in range(extent.kills):
            service.let_pass(randomly.uniform(0.0, 2.0))
            service.kill("redis", away_s=randomly.uniform(0.0, 2.0))
            summary.recoveries_s.append(service.until_answered(crops))
        training = service.ended(job)
        service.let_pass(extent.crops_s)

    summary.note(extent.kills, tally, jobs=assert_nothing_lost(service, tally))
    assert training.state == "succeeded"
    assert weights_of(training) == weights_of(undisturbed)


@pytest.mark.long
def test_while_redis_is_away_requests_are_told_to_come_again_and_the_same_processes_serve_afterwards(
    service: Service, crops: Crops, summary: Summary
) -> None:
    pids = service.pid("worker"), service.pid("api")
    service.kill_and_leave("redis")
    with Client(service.local.url, service.local.token, retries=0) as impatient:
        refusals = []
        for ask in (
            lambda: impatient.classify(crops.images[:2], crops.model, crops.version),
            lambda: impatient.classify(crops.images[:2], crops.model, crops.version, wait_s=0),
            lambda: impatient.train("away", recipe="strong", dataset="digits", epochs=1),
            lambda: list(impatient.jobs()),
        ):
            with pytest.raises(ServiceError) as refused:
                ask()
            refusals.append((refused.value.status, refused.value.code, refused.value.retry_after_s))
        is_ready = impatient.is_ready()
    service.let_pass(
        12.0
    )  # by then kombu alone would look for Redis every eight seconds, and ever more seldom

    service.held.discard("redis")
    service.revive()
    summary.recoveries_s.append(service.until_answered(crops))

    assert refusals == [(503, "store_unavailable", 1.0)] * 4
    assert not is_ready
    assert (service.pid("worker"), service.pid("api")) == pids
    summary.note(1, jobs=assert_nothing_lost(service))


@pytest.mark.long
def test_a_worker_and_an_api_that_start_before_redis_serve_when_it_comes(
    service: Service, crops: Crops, summary: Summary
) -> None:
    for name in ("redis", "worker", "api"):
        service.kill_and_leave(name)

    service.held -= {"worker", "api"}
    service.let_pass(8.0)
    service.held.discard("redis")
    service.revive()
    summary.recoveries_s.append(service.until_answered(crops))

    summary.note(3, jobs=assert_nothing_lost(service))
