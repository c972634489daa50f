"""The network: linear layers of the chip with converting ReLUs between them, or their float32 reference."""

import math
from collections.abc import Mapping

import torch
from torch import Tensor, nn

from worker.learning.arithmetic import Execution, Perceptron
from worker.learning.errors import NetworkInvalidError
from worker.learning.network_spec import NetworkSpec

WEIGHT_MAX = 63.0
INPUT_MAX = 31.0
READOUT_MAX = 127.0


def encode(crops: Tensor) -> Tensor:
    """Turn crops `(batch, 784)` uint8 or float32, 0..255, into inputs `(batch, 784)` float32, 0 or 31.

    A pixel is divided by 255 and rounded, half to even: of whole numbers, 128 is the first that sends events.
    """
    # torch converts from bool ten times as slowly as it compares in place
    return crops.to(torch.float32, copy=True).gt_(127.5).mul_(INPUT_MAX)


def build_network(spec: NetworkSpec, perceptron: Perceptron, execution: Execution) -> nn.Sequential:
    """Build a freshly initialised network: inputs `(batch, 784)`, 0..31, to scores `(batch, 10)`, -128..127.

    Initialisation draws from torch's global generator and scales with the gain of the current mock parameter,
    in the same way for every execution, so that weights of one fit the others. Layers are named `linear1`,
    `relu1`, `linear2` and so on.
    """
    mock = execution != "chip"
    sends = spec.num_sends or (None,) * len(spec.layer_shapes)
    network = nn.Sequential()
    for number, ((inputs, outputs), num_sends) in enumerate(
        zip(spec.layer_shapes, sends, strict=True), start=1
    ):
        if number > 1:
            relu = (
                SmoothConvertingReLU(spec.shift)
                if execution == "float32"
                else perceptron.nn.ConvertingReLU(shift=spec.shift, mock=mock)
            )
            network.add_module(f"relu{number - 1}", relu)
        linear = perceptron.nn.Linear(inputs, outputs, num_sends=num_sends, mock=mock)
        if execution == "float32":
            gain = perceptron.get_mock_parameter().gain
            linear = SmoothLinear(linear.weight, linear.bias, num_sends=linear.num_sends, gain=gain)
        network.add_module(f"linear{number}", linear)
    return network


class SmoothLinear(nn.Module):
    """A float32 linear layer with the chip's gain and weight range, without rounding, noise or tiles."""

    def __init__(self, weight: Tensor, bias: Tensor, *, num_sends: int, gain: float) -> None:
        super().__init__()
        self.weight = nn.Parameter(weight.detach().clone())
        self.bias = nn.Parameter(bias.detach().clone())
        self.num_sends = num_sends
        self._factor = gain * num_sends

    def forward(self, inputs: Tensor) -> Tensor:
        """Map `(batch, inputs)`, 0..31, to `(batch, outputs)` in LSB; clamps its weights to -63..63."""
        with torch.no_grad():
            self.weight.clamp_(-WEIGHT_MAX, WEIGHT_MAX)
        return torch.addmm(self.bias, inputs, self.weight.t(), alpha=self._factor)


class SmoothConvertingReLU(nn.Module):
    """A converting ReLU without its floors: readouts in LSB to inputs of the next layer, 0..31."""

    def __init__(self, shift: int) -> None:
        super().__init__()
        self._factor = 2.0**-shift
        self._max = min(INPUT_MAX, READOUT_MAX * self._factor)

    def forward(self, readouts: Tensor) -> Tensor:
        """Map readouts of any shape to 0..31."""
        return (readouts * self._factor).clamp(0.0, self._max)


def resolve_spec(spec: NetworkSpec, network: nn.Sequential) -> NetworkSpec:
    """Return the spec with the number of sends each layer of the built network has chosen."""
    sends = [layer.num_sends for layer in network if hasattr(layer, "num_sends")]
    return NetworkSpec.model_validate({**spec.model_dump(), "num_sends": sends})


def weights_of(network: nn.Module) -> dict[str, Tensor]:
    """Copy a network's parameters: `linear1.weight` `(256, 784)`, -63..63, `linear1.bias` `(256,)` and so on.

    The layers clamp their weights before each use; the copies are clamped likewise, so that they are what a
    forward pass would use.
    """
    weights = {name: parameter.detach().clone() for name, parameter in network.named_parameters()}
    for name, tensor in weights.items():
        if name.endswith(".weight"):
            tensor.clamp_(-WEIGHT_MAX, WEIGHT_MAX)
    return weights


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
