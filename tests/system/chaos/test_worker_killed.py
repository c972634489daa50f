"""The worker is killed: what it did is done again or goes on, to the same result."""

from random import Random

import pytest

from hxserve import Client
from hxserve.jobs import Job
from tests.system.chaos.conftest import Extent, Summary, training_of
from tests.system.chaos.service import Service
from tests.system.chaos.stream import Crops, streaming
from tests.system.chaos.verification import assert_nothing_lost, weights_of

pytestmark = pytest.mark.long


def test_a_worker_killed_at_random_during_a_training_and_a_stream_of_crops(
    service: Service,
    client: Client,
    undisturbed: Job,
    crops: Crops,
    extent: Extent,
    randomly: Random,
    summary: Summary,
) -> None:
    with streaming(service, crops, randomly.randrange(1000)) as tally:
        job = client.train("killed", **training_of(extent))
        service.until(lambda: client.job(job.id).state == "running", "the beginning of the training")
        for _ in range(extent.kills):
            service.let_pass(randomly.uniform(0.0, 2.0))
            service.kill("worker")
            summary.recoveries_s.append(service.until_answered(crops))
        training = service.ended(job)
        service.let_pass(extent.crops_s)

    summary.note(extent.kills, tally, jobs=assert_nothing_lost(service, tally))
    assert training.state == "succeeded"
    assert training.record["attempts"] > 1
    assert weights_of(training) == weights_of(undisturbed)


def test_a_job_that_kills_its_worker_three_times_is_set_aside_with_the_reason(
    service: Service, client: Client, crops: Crops, summary: Summary
) -> None:
    before = service.restarts.get("worker", 0)

    job = service.ended(client.train("poison", recipe="strong", dataset="digits", epochs=1))
    answer = client.classify(crops.images[:5], crops.model, crops.version)

    assert (job.state, service.restarts["worker"] - before) == ("failed", 3)
    assert job.error is not None
    assert job.error["code"] == "job_crashed"
    assert "3 times" in job.error["message"]
    assert [prediction.scores for prediction in answer] == list(crops.scores[:5])
    summary.note(3, jobs=assert_nothing_lost(service))
