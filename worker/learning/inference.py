"""Classification of crops with a trained network."""

from collections.abc import Callable, Mapping
from typing import Any, cast

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from services.networks.layers import ConvertingReLU, Layer, Linear
from services.networks.network import Network
from worker.learning.arithmetic import Perceptron
from worker.learning.errors import NetworkInvalidError
from worker.learning.network import INPUT_MAX, WEIGHT_MAX, build_network, load_weights

_Step = Callable[[Tensor], Tensor]


class Classifier:
    """Reads crops with fixed weights, on the open chip or in mock arithmetic.

    The weights are clamped, rounded and laid out once, so a call does nothing but the chip's own operations.
    It computes the network's forward pass: the same numbers without noise, the same distribution with
    it. Noise comes from torch's global generator, gain and noise are those in force when `scores` is called.
    """

    def __init__(
        self, spec: Network, weights: Mapping[str, Tensor], perceptron: Perceptron, *, mock: bool = True
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
        self._input = spec.input
        self._steps = [
            _step_of(layer, network.get_submodule(name), perceptron, mock=mock)
            for name, layer in zip(spec.names, spec.layers, strict=True)
        ]

    def scores(self, crops: NDArray[np.uint8]) -> NDArray[np.int8]:
        """Give the scores `(batch, 10)`, -128..127, of crops `(batch, 784)`, 0..255, each read once.

        Raises:
            ValueError: The crops have another shape or type.
        """
        scores: NDArray[np.int8] = self._read(_inputs_of(crops)).to(torch.int8).numpy()
        return scores

    def mean_scores(self, crops: NDArray[np.uint8], repeats: int) -> NDArray[np.float32]:
        """Give the mean scores `(batch, 10)`, -128..127, of several readings of each crop.

        Every reading is one of the whole network, so the noise of all layers averages away; the chip's fixed
        deviations stay. All readings go through the network as one batch.

        Args:
            crops: `(batch, 784)` uint8, 0..255.
            repeats: Readings of each crop, >= 1.

        Raises:
            ValueError: The crops have another shape or type, or `repeats` is less than 1.
        """
        if repeats < 1:
            raise ValueError(f"crops are read at least once, but repeats is {repeats}")
        readings = self._read(_inputs_of(crops).repeat(repeats, 1))
        scores: NDArray[np.float32] = readings.view(repeats, len(crops), 10).mean(0).numpy()
        return scores

    def _read(self, values: Tensor) -> Tensor:
        """Pass inputs `(batch, 784)`, 0..31, through the network: `(batch, 10)` float32, -128..127."""
        with torch.inference_mode():
            if len(self._input) > 1:
                values = values.view(-1, *self._input)
            for step in self._steps:
                values = step(values)
            return values


def _step_of(layer: Layer, built: Any, perceptron: Perceptron, *, mock: bool) -> _Step:
    """Return the forward pass of a layer, with the work that is the same for every call already done."""
    match layer:
        case Linear(avg=1):
            return _linear_step(built, layer.wait_between_events, perceptron, mock=mock)
        case ConvertingReLU(shift=shift):
            return lambda values: perceptron.converting_relu(values, shift, mock)
        case _:
            built.mock = mock
            return cast("_Step", built)


def _linear_step(built: Any, wait: int, perceptron: Perceptron, *, mock: bool) -> _Step:
    """Return the forward pass of a linear layer, with its weights clamped, rounded and laid out."""
    weight = built.weight.detach().clamp(-WEIGHT_MAX, WEIGHT_MAX).round().t().contiguous()
    bias, num_sends = None if built.bias is None else built.bias.detach(), built.num_sends

    def step(values: Tensor) -> Tensor:
        values = perceptron.matmul(values, weight, num_sends=num_sends, wait_between_events=wait, mock=mock)
        return values if bias is None else perceptron.add(values, bias, mock=mock)

    return step


def _inputs_of(crops: NDArray[np.uint8]) -> Tensor:
    """Turn crops into inputs `(batch, 784)` float32, 0 or 31.

    Raises:
        ValueError: They have another shape or type than `(batch, 784)` uint8.
    """
    if crops.ndim != 2 or crops.shape[1] != 784 or crops.dtype != np.uint8:
        raise ValueError(
            f"crops have shape {crops.shape} and type {crops.dtype}; expected (batch, 784) uint8"
        )
    return torch.from_numpy((crops >= 128).astype(np.float32)).mul_(INPUT_MAX)
