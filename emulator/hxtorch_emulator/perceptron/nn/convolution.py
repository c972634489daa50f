"""Convolution layers."""

from typing import Any

import torch

from hxtorch_emulator.perceptron import constants
from hxtorch_emulator.perceptron.constants import defaults
from hxtorch_emulator.perceptron.convolution import conv1d, conv2d, expanded_conv1d
from hxtorch_emulator.perceptron.nn.layer import MACLayer, Transform
from hxtorch_emulator.perceptron.nn.scaling import clamp_weight_

_Size = int | tuple[int, ...]


class ConvNd(MACLayer):
    """Common part of the convolution layers; combined with the layer of torch of the same name.

    The arguments are those of torch's layer and of ``MACLayer``; ``dilation`` and ``groups`` must be 1.
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: _Size,
        stride: _Size = 1,
        padding: _Size | str = 0,
        dilation: _Size = 1,
        groups: int = 1,
        bias: bool = True,
        padding_mode: str = "zeros",
        num_sends: int | None = None,
        wait_between_events: int = defaults.wait_between_events,
        mock: bool = False,
        *,
        input_transform: Transform | None = None,
        weight_transform: Transform | None = clamp_weight_,
    ) -> None:
        if groups != 1 or set(dilation if isinstance(dilation, tuple) else (dilation,)) != {1}:
            raise NotImplementedError("the chip convolves without dilation and groups; leave both at 1")
        self.num_sends = num_sends  # torch's half initialises the weights, which needs this
        torch_half: Any = next(
            base for base in type(self).__mro__ if base.__module__ == "torch.nn.modules.conv"
        )
        torch_half.__init__(
            self,
            in_channels,
            out_channels,
            kernel_size,
            stride=stride,
            padding=padding,
            bias=bias,
            padding_mode=padding_mode,
        )
        MACLayer.__init__(
            self,
            self.num_sends,
            wait_between_events,
            mock,
            input_transform=input_transform,
            weight_transform=weight_transform,
        )

    def _padded(self, x: torch.Tensor) -> torch.Tensor:
        layer: Any = self  # torch's half keeps the geometry
        amounts = layer._reversed_padding_repeated_twice
        if not any(amounts):
            return x
        mode = "constant" if layer.padding_mode == "zeros" else layer.padding_mode
        return torch.nn.functional.pad(x, amounts, mode=mode)

    def _prepared(self, x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor, dict[str, Any]]:
        """Return the input, the weight and the keywords of the operation."""
        x, weight = self.transformed(x)
        layer: Any = self  # torch's half keeps the geometry
        keywords = {
            "bias": self.bias,
            "stride": layer.stride,
            "num_sends": self.num_sends,
            "wait_between_events": self.wait_between_events,
            "mock": self.mock,
        }
        return self._padded(x), weight, keywords


class Conv1d(ConvNd, torch.nn.Conv1d):
    """A 1-D convolution on the chip; arguments as in ``ConvNd``."""

    def forward(self, input: torch.Tensor) -> torch.Tensor:  # noqa: A002 - torch's keyword
        """Map (batch, in_channels, length), 0..31, to (batch, out_channels, windows)."""
        x, weight, keywords = self._prepared(input)
        return conv1d(x, weight, **keywords)


class Conv2d(ConvNd, torch.nn.Conv2d):
    """A 2-D convolution on the chip; arguments as in ``ConvNd``."""

    def forward(self, input: torch.Tensor) -> torch.Tensor:  # noqa: A002 - torch's keyword
        """Map (batch, in_channels, height, width), 0..31, to (batch, out_channels, rows, columns)."""
        x, weight, keywords = self._prepared(input)
        return conv2d(x, weight, **keywords)


class ExpandedConv1d(Conv1d):
    """A 1-D convolution that places several shifted kernels side by side.

    Args:
        *args: as in ``ConvNd``.
        num_expansions: copies of the kernel; as many as fit one synapse block if None.
        **kwargs: as in ``ConvNd``.
    """

    def __init__(self, *args: Any, num_expansions: int | None = None, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        if num_expansions is None:
            in_width = constants.hardware_matrix_width // self.out_channels
            rows = constants.hardware_matrix_height // self.in_channels
            in_height = (rows - self.kernel_size[0]) // self.stride[0] + 1
            num_expansions = max(1, min(in_width, in_height))
        self.num_expansions = num_expansions

    def forward(self, input: torch.Tensor) -> torch.Tensor:  # noqa: A002 - torch's keyword
        """Map (batch, in_channels, length), 0..31, to (batch, out_channels, windows)."""
        x, weight, keywords = self._prepared(input)
        return expanded_conv1d(x, weight, num_expansions=self.num_expansions, **keywords)
