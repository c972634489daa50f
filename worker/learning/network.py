"""The network: layers of the chip, or their float32 reference."""

import math
from collections.abc import Mapping
from typing import Any, assert_never, cast

import torch
from torch import Tensor, nn

from services.networks.layers import ConvertingReLU, Flatten, Layer, MacLayer, ReLU, Shape, Unflatten
from services.networks.network import Network
from worker.learning.arithmetic import Execution, Perceptron
from worker.learning.errors import NetworkInvalidError

WEIGHT_MAX = 63.0
INPUT_MAX = 31.0
READOUTS = -128.0, 127.0


def encode(crops: Tensor) -> Tensor:
    """Turn crops `(batch, 784)` uint8 or float32, 0..255, into inputs `(batch, 784)` float32, 0 or 31.

    A pixel is divided by 255 and rounded, half to even: of whole numbers, 128 is the first that sends events.
    """
    # torch converts from bool ten times as slowly as it compares in place
    return crops.to(torch.float32, copy=True).gt_(127.5).mul_(INPUT_MAX)


def build_network(spec: Network, perceptron: Perceptron, execution: Execution) -> nn.Sequential:
    """Build a freshly initialised network: inputs `(batch, 784)`, 0..31, to scores `(batch, 10)`, -128..127.

    Initialisation draws from torch's global generator and scales with the gain of the current mock parameter,
    in the same way for every execution, so that weights of one fit the others. Layers are named `linear1`,
    `relu1`, `linear2` and so on.
    """
    network = nn.Sequential()
    if len(spec.input) > 1:
        network.add_module("input", nn.Unflatten(1, spec.input))
    for name, layer, shape in zip(spec.names, spec.layers, spec.shapes, strict=False):
        network.add_module(name, _build_layer(layer, shape, perceptron, execution))
    return network


def _build_layer(layer: Layer, shape: Shape, perceptron: Perceptron, execution: Execution) -> nn.Module:
    """Build a layer for inputs of a shape, without the batch."""
    kinds, mock, smooth = perceptron.nn, execution != "chip", execution == "float32"
    match layer:
        case MacLayer():
            built = _build_mac_layer(layer, shape, kinds, mock=mock)
            return SmoothMac(built, gain=perceptron.get_mock_parameter().gain) if smooth else built
        case ConvertingReLU():
            built = SmoothConvertingReLU(layer.shift) if smooth else kinds.ConvertingReLU(layer.shift, mock)
        case ReLU():
            built = nn.Hardtanh(0.0, READOUTS[1]) if smooth else kinds.ReLU(mock)
        case Flatten():
            built = nn.Flatten()
        case Unflatten():
            built = nn.Unflatten(1, layer.unflattened_size)
        case _:
            assert_never(layer)
    return cast("nn.Module", built)


def _build_mac_layer(layer: MacLayer, shape: Shape, kinds: Any, *, mock: bool) -> nn.Module:
    built: nn.Module = getattr(kinds, type(layer).__name__)(
        shape[0], **layer.model_dump(exclude={"type"}), mock=mock
    )
    return built


class SmoothMac(nn.Module):
    """A float32 layer with the chip's gain and weight range, without rounding, noise or tiles."""

    def __init__(self, layer: Any, *, gain: float) -> None:
        """Take over the weights and settings of a layer of hxtorch."""
        super().__init__()
        self.weight = nn.Parameter(layer.weight.detach().clone())
        self.bias = None if layer.bias is None else nn.Parameter(layer.bias.detach().clone())
        self.num_sends: int = layer.num_sends
        self._factor = gain * self.num_sends
        self._steps = {} if self.weight.dim() == 2 else {"stride": layer.stride, "padding": layer.padding}

    def forward(self, inputs: Tensor) -> Tensor:
        """Map inputs, 0..31, to readouts in LSB; clamps its weights to -63..63."""
        with torch.no_grad():
            self.weight.clamp_(-WEIGHT_MAX, WEIGHT_MAX)
        if self.weight.dim() == 2 and self.bias is not None:
            return torch.addmm(self.bias, inputs, self.weight.t(), alpha=self._factor)
        multiply = (nn.functional.linear, nn.functional.conv1d, nn.functional.conv2d)[self.weight.dim() - 2]
        readouts: Tensor = multiply(inputs, self.weight, **self._steps) * self._factor
        return readouts if self.bias is None else readouts + self.bias.view(-1, *[1] * (inputs.dim() - 2))


class SmoothConvertingReLU(nn.Module):
    """A converting ReLU without its floors: readouts in LSB to inputs of the next layer, 0..31."""

    def __init__(self, shift: int) -> None:
        super().__init__()
        self._factor = 2.0**-shift
        self._max = min(INPUT_MAX, READOUTS[1] * self._factor)

    def forward(self, readouts: Tensor) -> Tensor:
        """Map readouts of any shape to 0..31."""
        return (readouts * self._factor).clamp(0.0, self._max)


def resolve_spec(spec: Network, network: nn.Sequential) -> Network:
    """Return the spec with the number of sends each layer of the built network has chosen."""
    built: list[Any] = [network.get_submodule(name) for name in spec.names]
    return spec.with_num_sends([layer.num_sends for layer in built if hasattr(layer, "num_sends")])


def weights_of(network: nn.Module) -> dict[str, Tensor]:
    """Copy a network's parameters: `linear1.weight` `(256, 784)`, -63..63, `linear1.bias` `(256,)` and so on.

    The layers clamp their weights before each use; the copies are clamped likewise, so that they are what a
    forward pass would use.
    """
    weights = {name: parameter.detach().clone() for name, parameter in network.named_parameters()}
    clamp_weights(weights)
    return weights


def clamp_weights(weights: Mapping[str, Tensor]) -> None:
    """Clamp weights, not biases, to -63..63 in place."""
    for name, tensor in weights.items():
        if name.endswith(".weight"):
            tensor.clamp_(-WEIGHT_MAX, WEIGHT_MAX)


def load_weights(network: nn.Module, weights: Mapping[str, Tensor]) -> None:
    """Copy weights as `weights_of` gives them into a network of the same spec.

    Raises:
        NetworkInvalidError: Names or shapes differ, or a number is not finite.
    """
    parameters = dict(network.named_parameters())
    if parameters.keys() != weights.keys():
        raise NetworkInvalidError(
            f"the weights are named {sorted(weights)}; expected {sorted(parameters)}. "
            "Use the network's own spec."
        )
    with torch.no_grad():
        for name, parameter in parameters.items():
            tensor = weights[name]
            if tensor.shape != parameter.shape:
                raise NetworkInvalidError(
                    f"{name} has shape {tuple(tensor.shape)}; expected {tuple(parameter.shape)}. "
                    "Use the network's own spec."
                )
            if not math.isfinite(float(tensor.sum())):
                raise NetworkInvalidError(
                    f"{name} holds numbers that are not finite; train the network again."
                )
            parameter.copy_(tensor)
