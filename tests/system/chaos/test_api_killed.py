"""API processes are killed: what they accepted is done, and their clients get their answers."""

from random import Random

import pytest

from hxserve import Client
from hxserve.jobs import Job
from tests.system.chaos.conftest import Extent, Summary, training_of
from tests.system.chaos.service import Service
from tests.system.chaos.stream import Crops, streaming
from tests.system.chaos.verification import assert_nothing_lost, weights_of

pytestmark = pytest.mark.long


def test_an_api_killed_at_random_during_a_training_and_a_stream_of_crops(
    service: Service,
    client: Client,
    undisturbed: Job,
    crops: Crops,
    extent: Extent,
    randomly: Random,
    summary: Summary,
) -> None:
    with streaming(service, crops, randomly.randrange(1000)) as tally:
        job = client.train("api", **training_of(extent))
        for _ in range(extent.kills):
            service.let_pass(randomly.uniform(0.0, 2.0))
            service.kill("api")
            summary.recoveries_s.append(service.until_answered(crops))
        training = service.ended(job)
        service.let_pass(extent.crops_s)

    summary.note(extent.kills, tally, jobs=assert_nothing_lost(service, tally))
    assert (training.state, training.record["attempts"]) == ("succeeded", 1)
    assert weights_of(training) == weights_of(undisturbed)
