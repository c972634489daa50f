"""Descriptions of networks in files of weights: written for versions of this service, checked for uploaded ones."""

import json
from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray
from safetensors import SafetensorError
from torch import Tensor

from services.errors import CheckpointDamagedError, InvalidInputError
from services.models.description import MOST_CHECK_CROPS, Check, Description, read_description
from services.networks.network import Network
from worker.checkpoints import read_weights
from worker.learning.arithmetic import MockParameter, Perceptron
from worker.learning.inference import Classifier
from worker.learning.randomness import OwnRandomness


def describe_version(
    network: Network,
    weights: Mapping[str, Tensor],
    crops: Tensor,
    perceptron: Perceptron,
    parameter: MockParameter,
) -> Description:
    """Describe weights of a network, with the scores that the mock without noise gives to crops.

    Args:
        network: with the number of sends of each layer stated.
        weights: of it, as `worker.learning.network.weights_of` gives them.
        crops: `(count, 28, 28)` uint8; the first ones are scored.
        perceptron: the module that computes.
        parameter: gain and noise with which the network learnt.
    """
    checked = crops[:MOST_CHECK_CROPS].flatten(1).numpy()
    scores = score_without_noise(
        Classifier(network, weights, perceptron), checked, perceptron, parameter.gain
    )
    return Description(
        network=network,
        gain=parameter.gain,
        noise_std=abs(parameter.noise_std),
        check=Check.of(checked.tobytes(), scores.tolist()),
    )


def score_without_noise(
    classifier: Classifier, crops: NDArray[np.uint8], perceptron: Perceptron, gain: float
) -> NDArray[np.int8]:
    """Return the scores `(batch, 10)` of crops `(batch, 784)` in the mock with this gain and no noise."""
    with OwnRandomness(perceptron, perceptron.MockParameter(noise_std=0.0, gain=gain), 0).active():
        return classifier.scores(crops)


def read_upload(content: bytes) -> tuple[Description, dict[str, Tensor]]:
    """Return the description in an uploaded file, and its weights.

    Raises:
        InvalidInputError: it is not such a file.
    """
    try:
        weights = read_weights(content, "the upload")
        header = json.loads(content[8 : 8 + int.from_bytes(content[:8], "little")])
    except (CheckpointDamagedError, SafetensorError, ValueError) as error:
        raise InvalidInputError(f"the uploaded file cannot be read ({error}); upload it again") from None
    return read_description(header.get("__metadata__", {})), weights
