"""Classification of crops with a trained network: what a service does all day."""

from collections.abc import Mapping

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from worker.learning.arithmetic import Perceptron
from worker.learning.errors import NetworkInvalidError
from worker.learning.network import INPUT_MAX, WEIGHT_MAX, build_network, load_weights
from worker.learning.network_spec import NetworkSpec


class Classifier:
    """Reads crops with fixed weights, on the open chip or in mock arithmetic.

    The weights are clamped, rounded and laid out once, so a call does nothing but the chip's own operations.
    What it computes is the network's forward pass: the same numbers without noise, the same distribution with
    it. Noise comes from torch's global generator, gain and noise are those in force when `scores` is called.
    """

    def __init__(
        self, spec: NetworkSpec, weights: Mapping[str, Tensor], perceptron: Perceptron, *, mock: bool = True
    ) -> None:
        """Prepare the weights.

        Args:
            spec: The network, with the number of sends of each layer stated.
            weights: As `worker.learning.network.weights_of` gives them.
            perceptron: The module that computes.
            mock: Compute in mock arithmetic; False takes the open chip.

        Raises:
            NetworkInvalidError: The spec leaves the number of sends open, or the weights do not fit it.
        """
        if spec.num_sends is None:
            raise NetworkInvalidError(
                "the network's spec leaves num_sends open; use the spec stored with the trained weights."
            )
        network = build_network(spec, perceptron, "mock")
        load_weights(network, weights)
        self._perceptron = perceptron
        self._shift = spec.shift
        self._mock = mock
        self._layers = [
            (
                weights[f"linear{number}.weight"]
                .detach()
                .clamp(-WEIGHT_MAX, WEIGHT_MAX)
                .round()
                .t()
                .contiguous(),
                weights[f"linear{number}.bias"].detach().clone(),
                num_sends,
            )
            for number, num_sends in enumerate(spec.num_sends, start=1)
        ]

    def scores(self, crops: NDArray[np.uint8]) -> NDArray[np.int8]:
        """Give the scores `(batch, 10)`, -128..127, of crops `(batch, 784)`, 0..255.

        Raises:
            ValueError: The crops have another shape or type.
        """
        if crops.ndim != 2 or crops.shape[1] != 784 or crops.dtype != np.uint8:
            raise ValueError(
                f"crops have shape {crops.shape} and type {crops.dtype}; expected (batch, 784) uint8"
            )
        perceptron, mock = self._perceptron, self._mock
        with torch.inference_mode():
            values = torch.from_numpy((crops >= 128).astype(np.float32)).mul_(INPUT_MAX)
            for number, (weight, bias, num_sends) in enumerate(self._layers):
                if number:
                    values = perceptron.converting_relu(values, self._shift, mock)
                values = perceptron.matmul(values, weight, num_sends=num_sends, mock=mock)
                values = perceptron.add(values, bias, mock=mock)
            scores: NDArray[np.int8] = values.to(torch.int8).numpy()
            return scores
