"""Classification of crops with a trained network."""

from collections.abc import Callable, Mapping
from typing import Any, Final, cast

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from services.networks.layers import ConvertingReLU, Linear, MacLayer, ReLU
from services.networks.network import Network
from worker.learning.arithmetic import Perceptron
from worker.learning.errors import NetworkInvalidError
from worker.learning.network import INPUT_MAX, READOUTS, WEIGHT_MAX, build_network, load_weights

_MOST_WINDOW_VALUES: Final = 2**24
"""Values in the windows of convolutions at a time, 64 MiB."""

_Step = Callable[[Tensor], Tensor]


class Classifier:
    """Reads crops with fixed weights, on the open chip or in mock arithmetic.

    The weights of linear layers are clamped, rounded and laid out once, so their calls do nothing but the chip's own
    operations. It computes the network's forward pass: the same numbers without noise, the same distribution with
    it. Noise comes from torch's global generator, gain and noise are those in force when `scores` is called. Batches
    are split where the windows of convolutions would take much memory.
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
        network = build_network(spec, perceptron, "mock" if mock else "chip")
        load_weights(network, weights)
        self._steps = [_step_of(layer, perceptron, mock=mock) for layer in network]
        names = [name for name, _ in network.named_children()]
        self._hidden = {names.index(name): name for name in spec.hidden}
        if not _gives_readouts(spec):
            self._steps.append(lambda scores: scores.floor().clamp(*READOUTS))
        windows = spec.window_values
        self._most_at_once = _MOST_WINDOW_VALUES // windows if windows else None

    def scores(self, crops: NDArray[np.uint8]) -> NDArray[np.int8]:
        """Give the scores `(batch, 10)`, -128..127, of crops `(batch, 784)`, 0..255, each read once.

        Raises:
            ValueError: The crops have another shape or type.
        """
        scores: NDArray[np.int8] = self._read(_inputs_of(crops)).to(torch.int8).numpy()
        return scores

    def scores_and_activations(
        self, crops: NDArray[np.uint8]
    ) -> tuple[NDArray[np.int8], Mapping[str, NDArray[np.uint8]]]:
        """Give the scores as `scores` does, and the hidden activations that led to them, `(batch, ...)` by layer.

        Raises:
            ValueError: The crops have another shape or type.
        """
        kept: dict[str, list[Tensor]] = {}
        scores: NDArray[np.int8] = self._read(_inputs_of(crops), kept).to(torch.int8).numpy()
        return scores, {name: torch.cat(parts).to(torch.uint8).numpy() for name, parts in kept.items()}

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

    def _read(self, values: Tensor, kept: dict[str, list[Tensor]] | None = None) -> Tensor:
        """Pass inputs `(batch, 784)`, 0..31, through the network: `(batch, 10)` float32, -128..127.

        The hidden activations are added to `kept`.
        """
        with torch.inference_mode():
            if self._most_at_once is not None and len(values) > self._most_at_once:
                return torch.cat([self._pass(part, kept) for part in torch.split(values, self._most_at_once)])
            return self._pass(values, kept)

    def _pass(self, values: Tensor, kept: dict[str, list[Tensor]] | None) -> Tensor:
        for place, step in enumerate(self._steps):
            values = step(values)
            if kept is not None and place in self._hidden:
                kept.setdefault(self._hidden[place], []).append(values)
        return values


def _step_of(layer: Any, perceptron: Perceptron, *, mock: bool) -> _Step:
    """Return the forward pass of a layer, with the work that is the same for every call already done."""
    kinds = perceptron.nn
    if isinstance(layer, kinds.ConvertingReLU):
        shift = layer.shift
        return lambda values: perceptron.converting_relu(values, shift, mock)
    if not isinstance(layer, kinds.Linear) or layer.avg > 1:
        return cast("_Step", layer)
    weight = layer.weight.detach().clamp(-WEIGHT_MAX, WEIGHT_MAX)
    # The chip rounds halves otherwise than the mock, so they are left to it.
    weight = (weight.round() if mock else weight).t().contiguous()
    bias = None if layer.bias is None else layer.bias.detach()
    options = {"num_sends": layer.num_sends, "wait_between_events": layer.wait_between_events, "mock": mock}

    def multiply(values: Tensor) -> Tensor:
        values = perceptron.matmul(values, weight, **options)
        return values if bias is None else perceptron.add(values, bias, mock=mock)

    return multiply


def _gives_readouts(spec: Network) -> bool:
    """Return whether the scores are whole numbers of -128..127, unlike convolutions with a bias and averages."""
    for layer in reversed(spec.layers):
        match layer:
            case ReLU() | ConvertingReLU():
                return True
            case Linear(avg=avg, bias=bias):
                return bias or avg == 1
            case MacLayer(bias=bias):
                return not bias
    return True


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
