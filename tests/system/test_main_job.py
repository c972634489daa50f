import numpy as np
from numpy.typing import NDArray

from hxserve import Client
from hxserve.jobs import Job
from tests.system.conftest import MODEL, TRAINING, wait_until

Digits = tuple[NDArray[np.uint8], NDArray[np.int64]]


def test_a_training_publishes_a_version_that_reads_digits(
    client: Client, trained: Job, test_digits: Digits
) -> None:
    crops, labels = test_digits

    predictions = client.classify(crops, MODEL)

    assert trained.state == "succeeded"
    assert predictions.version == trained.result["version"]
    assert predictions.backend == "mock"
    assert np.mean(np.array(predictions.digits) == labels) > 0.9


def test_the_same_seed_gives_the_same_weights(client: Client, trained: Job) -> None:
    again = client.train("again", wait=True, **TRAINING)

    assert again.result is not None
    assert trained.result is not None
    assert again.result["weights_sha256"] == trained.result["weights_sha256"]


def test_an_evaluation_agrees_with_what_the_training_measured(client: Client, trained: Job) -> None:
    evaluation = client.evaluate(MODEL, wait=True, dataset="digits", execution="quantised")

    assert trained.result is not None
    assert evaluation.result is not None
    assert abs(evaluation.result["accuracy"] - trained.result["accuracy"]) < 0.03
    assert sum(map(sum, evaluation.result["confusion"])) == evaluation.result["crops"]


def test_crops_are_answered_while_a_training_runs(client: Client, trained: Job, test_digits: Digits) -> None:
    long = client.train("long", recipe="strong", dataset="digits", epochs=100)
    wait_until(lambda: client.job(long.id).state == "running")

    predictions = client.classify(test_digits[0][:3], MODEL, trained.result["version"])
    meanwhile = client.job(long.id)
    client.cancel(long.id)

    assert len(predictions) == 3
    assert meanwhile.state == "running"
    assert client.wait(long.id).state == "cancelled"


def test_a_cancelled_training_keeps_what_it_learnt(client: Client) -> None:
    job = client.train("part", recipe="strong", dataset="digits", epochs=100)
    wait_until(lambda: client.job(job.id).progress > 0)

    client.cancel(job.id)
    cancelled = client.wait(job.id)

    assert cancelled.state == "cancelled"
    assert cancelled.result is not None
    assert cancelled.result["partial"] is True
    assert client.model("part", cancelled.result["version"])["partial"] is True


def test_a_queued_job_is_cancelled_at_once(client: Client) -> None:
    running = client.train("first", recipe="strong", dataset="digits", epochs=100)
    wait_until(lambda: client.job(running.id).state == "running")
    queued = client.train("second", recipe="strong", dataset="digits", epochs=100)

    cancelled = client.cancel(queued.id)
    client.cancel(running.id)

    assert cancelled.state == "cancelled"
    assert client.wait(running.id).state == "cancelled"
