"""The chip fails: it times out, its connection is lost, and it answers in a wrong shape."""

from random import Random

import pytest

from hxserve import Client
from hxserve.errors import JobFailedError
from hxserve.jobs import Job
from tests.system.chaos.conftest import Extent, Summary, training_of
from tests.system.chaos.faulty_worker import Fault, ask, is_open
from tests.system.chaos.service import Service
from tests.system.chaos.stream import Crops, streaming
from tests.system.chaos.verification import assert_nothing_lost, weights_of

pytestmark = pytest.mark.long


@pytest.mark.parametrize("fault", ["time-out", "lost", "wrong-shape"])
def test_a_chip_that_fails_now_and_then_during_a_training_and_a_stream_of_crops(
    service: Service,
    client: Client,
    undisturbed: Job,
    crops: Crops,
    extent: Extent,
    randomly: Random,
    summary: Summary,
    fault: Fault,
) -> None:
    pid = service.pid("worker")
    with streaming(service, crops, randomly.randrange(1000), pause_s=0.2) as tally:
        job = client.train("chip", **training_of(extent))
        for _ in range(extent.kills):
            ask(service.faults, fault)
            if fault == "lost" and randomly.random() < 0.5:
                ask(service.faults, "refusal", 2)
            service.until(lambda: not is_open(service.faults, fault), f"the fault {fault}")
            summary.recoveries_s.append(service.until_answered(crops))
            service.let_pass(randomly.uniform(0.0, 0.5))
        training = service.ended(job)

    summary.note(extent.kills, tally, jobs=assert_nothing_lost(service, tally))
    assert (training.state, service.pid("worker")) == ("succeeded", pid)
    assert weights_of(training) == weights_of(undisturbed)


def test_crops_that_the_chip_never_reads_are_answered_with_the_reason_and_the_next_ones_are_read(
    service: Service, client: Client, crops: Crops, summary: Summary
) -> None:
    ask(service.faults, "wrong-shape", 9)  # three tries of a network of three layers

    with pytest.raises(JobFailedError) as failed:
        client.classify(crops.images[:4], crops.model, crops.version, wait_s=0)
    answer = client.classify(crops.images[:4], crops.model, crops.version)

    assert (failed.value.job.state, failed.value.code) == ("failed", "chip_failed")
    assert "scores of shape (1, 10); expected (4, 10)" in str(failed.value)
    assert [prediction.scores for prediction in answer] == list(crops.scores[:4])
    summary.note(3, jobs=assert_nothing_lost(service))
