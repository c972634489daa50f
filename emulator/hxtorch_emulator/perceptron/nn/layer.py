"""Common parts of layers of the chip: their representation and initial weights."""

import inspect
import math
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import torch

from hxtorch_emulator.perceptron import constants
from hxtorch_emulator.perceptron.constants import defaults
from hxtorch_emulator.perceptron.mocking import get_mock_parameter
from hxtorch_emulator.perceptron.nn.scaling import clamp_weight_

Transform = Callable[[torch.Tensor], torch.Tensor]


class Layer:
    """A layer that runs on the chip or, with ``mock``, in its mock."""

    mock: bool

    def __init__(self, mock: bool = False) -> None:
        self.mock = mock

    def extra_repr(self) -> str:
        """Return the constructor's arguments that differ from its defaults, as in a call."""
        parameters: dict[str, inspect.Parameter] = {}
        for kind in type(self).__mro__:
            if kind.__module__.startswith("torch."):
                break  # what torch's half is given, the layer is given too
            for name, parameter in inspect.signature(kind).parameters.items():
                parameters.setdefault(name, parameter)
        shown = []
        for name, parameter in parameters.items():
            if not hasattr(self, name):
                continue
            value = getattr(self, name)
            if isinstance(parameter.default, bool) and not isinstance(value, bool):
                value = value is not None  # a bias is given as a flag and kept as a tensor
            if parameter.default is inspect.Parameter.empty or not _is_default(value, parameter.default):
                shown.append(f"{name}={getattr(value, '__name__', value)}")
        return ", ".join(shown)


def _is_default(value: object, default: object) -> bool:
    """Return whether ``value`` is ``default``, or repeats it for each axis as torch's layers keep it."""
    return value == default or (isinstance(value, tuple) and set(value) == {default})


class MACLayer(Layer):
    """A layer that multiplies and accumulates: the part its kinds share.

    Args:
        num_sends: how often each input is sent; chosen when the weights are initialised if None.
        wait_between_events: FPGA cycles of 8 ns between two events.
        mock: compute in the mock.
        avg: how many columns of the chip carry each output and are averaged.
        input_transform: applied to the input before the multiplication.
        weight_transform: applied to the weight before the multiplication.
    """

    if TYPE_CHECKING:  # torch's half of each layer declares these in its own way
        weight: Any
        bias: Any

    def __init__(
        self,
        num_sends: int | None = None,
        wait_between_events: int = defaults.wait_between_events,
        mock: bool = False,
        *,
        avg: int = 1,
        input_transform: Transform | None = None,
        weight_transform: Transform | None = clamp_weight_,
    ) -> None:
        super().__init__(mock=mock)
        self.num_sends = num_sends
        self.wait_between_events = wait_between_events
        self.avg = avg
        self.input_transform = input_transform
        self.weight_transform = weight_transform

    def reset_parameters(self, weight_mean: float = 0.0, relu_shift: int = 1) -> None:
        """Draw new weights and biases that use the chip's range well.

        Args:
            weight_mean: mean of the weights.
            relu_shift: bits that the converting rectifier after this layer drops.

        Source: the initialisation of hxtorch.perceptron.nn, after He et al., arXiv 1502.01852.
        """
        fan_in = self.weight.shape[1:].numel()
        std = 2**relu_shift * math.sqrt(2.0) / get_mock_parameter().gain / math.sqrt(fan_in)
        if self.num_sends is None:
            self.num_sends = math.ceil(std / (constants.synaptic_weight_max / 3))
        torch.nn.init.trunc_normal_(
            self.weight,
            mean=weight_mean,
            std=std / self.num_sends,
            a=constants.synaptic_weight_min,
            b=constants.synaptic_weight_max,
        )
        if self.bias is not None:
            bound = std / (constants.input_activation_max / math.sqrt(3.0))
            torch.nn.init.uniform_(self.bias, -bound, bound)

    def transformed(self, x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Return ``x`` and the weight, each after its transform."""
        if self.input_transform is not None:
            x = self.input_transform(x)
        weight: torch.Tensor = self.weight
        if self.weight_transform is not None:
            weight = self.weight_transform(weight)
        return x, weight
