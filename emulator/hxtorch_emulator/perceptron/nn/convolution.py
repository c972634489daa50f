"""Convolution layers."""

from collections.abc import Callable
from typing import Any

import torch

from hxtorch_emulator.perceptron import constants
from hxtorch_emulator.perceptron.constants import defaults
from hxtorch_emulator.perceptron.convolution import conv1d, conv2d, expanded_conv1d
from hxtorch_emulator.perceptron.nn.layer import MACLayer, Transform
from hxtorch_emulator.perceptron.nn.scaling import clamp_weight_

_Size = int | tuple[int, ...]


class ConvNd(MACLayer, torch.nn.modules.conv._ConvNd):
    """Common part of the convolution layers; combined with the layer of torch of the same name.

    The arguments are those of torch's layer and of ``MACLayer``. The chip convolves without ``dilation`` and
    ``groups``: other values than 1 are refused when the layer is used.
    """

    _conv: Callable[..., torch.Tensor]
    """The operation; tests and subclasses replace it."""

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
            dilation=dilation,
            groups=groups,
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

    def forward(self, input: torch.Tensor) -> torch.Tensor:  # noqa: A002 - torch's keyword
        """Map (batch, in_channels, size...), 0..31, to (batch, out_channels, windows...).

        Raises:
            ValueError: the layer has dilation or groups.
        """
        if self.groups != 1 or set(self.dilation) != {1}:
            raise ValueError(
                "the chip convolves without dilation and groups, "
                f"but the layer has dilation={self.dilation} and groups={self.groups}"
            )
        x, weight = self.transformed(self._padded(input))
        return self._conv(
            x,
            weight,
            self.bias,
            self.stride,
            num_sends=self.num_sends,
            wait_between_events=self.wait_between_events,
            mock=self.mock,
        )

    def _padded(self, x: torch.Tensor) -> torch.Tensor:
        amounts = self._reversed_padding_repeated_twice
        if not any(amounts):
            return x
        mode = "constant" if self.padding_mode == "zeros" else self.padding_mode
        return torch.nn.functional.pad(x, amounts, mode=mode)


class Conv1d(ConvNd, torch.nn.Conv1d):
    """A 1-D convolution on the chip; arguments as in ``ConvNd``."""

    _conv: Callable[..., torch.Tensor] = conv1d


class Conv2d(ConvNd, torch.nn.Conv2d):
    """A 2-D convolution on the chip; arguments as in ``ConvNd``."""

    _conv: Callable[..., torch.Tensor] = conv2d


class ExpandedConv1d(Conv1d):
    """A 1-D convolution that places several shifted kernels side by side.

    Args:
        *args: as in ``ConvNd``.
        num_expansions: copies of the kernel; if None, as many as one synapse block holds of a kernel of one channel.
        **kwargs: as in ``ConvNd``.
    """

    def __init__(self, *args: Any, num_expansions: int | None = None, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        if num_expansions is None:
            in_width = constants.hardware_matrix_width // self.out_channels
            in_height = (constants.hardware_matrix_height - self.kernel_size[0]) // self.stride[0] + 1
            num_expansions = max(1, min(in_width, in_height))
        self.num_expansions = num_expansions

    def _conv(self, x: torch.Tensor, weight: torch.Tensor, *args: Any, **kwargs: Any) -> torch.Tensor:
        expanded: Callable[..., torch.Tensor] = expanded_conv1d
        return expanded(x, weight, *args, num_expansions=self.num_expansions, **kwargs)
