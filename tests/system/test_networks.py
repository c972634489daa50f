"""Convolutional networks through the real service: trained, killed, read with, measured."""

from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from deploy.local import Local
from hxserve import Client
from hxserve.jobs import Job
from tests.system.conftest import kill_worker, wait_until

NETWORK: list[dict[str, Any]] = [
    {"type": "conv2d", "out_channels": 8, "kernel_size": 7, "stride": 3},
    {"type": "converting_relu", "shift": 2},
    {"type": "flatten"},
    {"type": "linear", "out_features": 10},
]
TRAINING: dict[str, Any] = {"recipe": "conv", "dataset": "digits", "epochs": 4, "network": NETWORK}


@pytest.fixture(scope="session")
def convolutional(local: Local) -> Job:
    """A training of a convolutional network, its end waited for."""
    with Client(local.url, local.token) as client:
        return client.train("convolutional", wait=True, **TRAINING)


def test_a_convolutional_network_learns_and_reads_digits(
    client: Client, convolutional: Job, test_digits: tuple[NDArray[np.uint8], NDArray[np.int64]]
) -> None:
    crops, labels = test_digits

    predictions = client.classify(crops, "convolutional")
    evaluation = client.evaluate("convolutional", wait=True, dataset="digits", execution="quantised")

    network = client.model("convolutional", 1)["network"]
    assert network["input"] == [1, 28, 28]
    assert [layer["type"] for layer in network["layers"]] == [layer["type"] for layer in NETWORK]
    assert network["layers"][0]["num_sends"] > 0
    assert np.mean(np.array(predictions.digits) == labels) > 0.85
    assert evaluation.accuracy is not None
    assert convolutional.accuracy is not None
    assert abs(evaluation.accuracy - convolutional.accuracy) < 0.04


def test_the_feature_maps_of_a_crop_come_with_its_reading(
    client: Client, convolutional: Job, test_digits: tuple[NDArray[np.uint8], NDArray[np.int64]]
) -> None:
    assert convolutional.version == "1"

    predictions = client.classify(test_digits[0][:3], "convolutional", activations=True)

    for prediction in predictions:
        [maps] = prediction.activations
        assert (maps.layer, maps.shape, len(maps.values)) == ("relu1", (8, 8, 8), 512)
        assert 0 < max(maps.values) <= 31
    assert len({prediction.activations[0].values for prediction in predictions}) == 3


def test_a_convolutional_training_whose_worker_is_killed_ends_with_the_same_weights(
    local: Local, client: Client, convolutional: Job
) -> None:
    job = client.train("killed-convolutional", **TRAINING)
    wait_until(lambda: client.job(job.id).progress > 0.2)
    kill_worker(local)

    finished = client.wait(job.id)

    assert finished.record["attempts"] == 2
    assert finished.result is not None
    assert convolutional.result is not None
    assert finished.result["weights_sha256"] == convolutional.result["weights_sha256"]
