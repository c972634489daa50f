"""Rectifiers and argmax of the on-chip SIMD processor."""

import math
from typing import Any

import torch

from hxtorch_emulator import connection
from hxtorch_emulator.builtin import Builtin
from hxtorch_emulator.perceptron import constants
from hxtorch_emulator.perceptron.addition import floating, readout
from hxtorch_emulator.perceptron.gradients import is_gradient_wanted
from hxtorch_emulator.perceptron.tracing import traced


def _rectified(values: torch.Tensor) -> torch.Tensor:
    """Rectify to 0..127, in a new tensor."""
    return torch.floor(floating(values)).clamp_(0, constants.output_activation_max)


def _converted(values: torch.Tensor, shift: int) -> torch.Tensor:
    """Rectify and shift to 0..31, in a new tensor.

    By definition the values are floored and clamped to 0..127, then divided by 2**shift, floored and clamped to
    0..31. Two of these steps change nothing and are left out: floor(floor(x) / n) is floor(x / n) for any integer
    n >= 1, division by a power of two being exact; and clamping to 127 first is clamping to 127 >> shift after.
    """
    if shift < 0:
        return _rectified(values).mul_(2.0**-shift).clamp_(0, constants.input_activation_max)
    largest = min(constants.input_activation_max, constants.output_activation_max >> shift)
    return torch.mul(floating(values), 2.0**-shift).floor_().clamp_(0, largest)


def _gradient(grad: torch.Tensor, values: torch.Tensor) -> torch.Tensor:
    """Return ``grad`` where ``values`` are positive, else 0, also where they are NaN; in a new tensor.

    torch's own gradient passes NaN on, but is ten times as fast as a selection; a sum tells whether there may be NaN.
    """
    gradient: torch.Tensor = torch.ops.aten.threshold_backward.default(grad, values, 0.0)
    return gradient.masked_fill_(values.isnan(), 0.0) if math.isnan(values.sum().item()) else gradient


class _Relu(torch.autograd.Function):
    """A rectifier of integers; its gradient is 1 where the input is positive, else 0."""

    @staticmethod
    def forward(ctx: Any, values: torch.Tensor) -> torch.Tensor:
        ctx.save_for_backward(values)
        return _rectified(values)

    @staticmethod
    def backward(ctx: Any, *grads: torch.Tensor) -> torch.Tensor:
        (values,) = ctx.saved_tensors
        return _gradient(grads[0], values)


class _ConvertingRelu(torch.autograd.Function):
    """A rectifier into 5 bits; its gradient is 2**-shift where the input is positive, else 0."""

    @staticmethod
    def forward(ctx: Any, values: torch.Tensor, shift: int) -> torch.Tensor:
        ctx.save_for_backward(values)
        ctx.scale = 2.0**-shift
        return _converted(values, shift)

    @staticmethod
    def backward(ctx: Any, *grads: torch.Tensor) -> tuple[torch.Tensor, None]:
        (values,) = ctx.saved_tensors
        return _gradient(grads[0], values).mul_(ctx.scale), None


@Builtin
@traced("relu")
def relu(input: torch.Tensor, mock: bool = False) -> torch.Tensor:  # noqa: A002 - hxtorch's keyword
    """Rectify readouts.

    ``input`` are readouts in LSB of any shape, floored first; the result is 0..127, of the same shape.

    Returns:
        0..127, same shape.

    Raises:
        RuntimeError: no chip is open and ``mock`` is false.
    """
    if not mock:
        connection.open_chip()
    if not is_gradient_wanted(input):
        return _rectified(input)
    y: torch.Tensor = _Relu.apply(input)  # type: ignore[no-untyped-call]  # torch types apply as untyped
    return y


@Builtin
@traced("converting_relu")
def converting_relu(
    input: torch.Tensor,  # noqa: A002 - hxtorch's keyword
    shift: int = 2,
    mock: bool = False,
) -> torch.Tensor:
    """Rectify readouts and shift them right, so that they can be the next layer's inputs.

    ``input`` are readouts in LSB of any shape, floored first; the result is 0..31, of the same shape.

    Returns:
        0..31, same shape.

    Raises:
        RuntimeError: no chip is open and ``mock`` is false, or ``shift`` is negative, which the chip cannot do.
    """
    if not mock:
        connection.open_chip()
        if shift < 0:
            raise RuntimeError(f"shift must be at least 0 on the chip, but got {shift}")
    if not is_gradient_wanted(input):
        return _converted(input, shift)
    y: torch.Tensor = _ConvertingRelu.apply(input, shift)  # type: ignore[no-untyped-call]  # torch types apply as untyped
    return y


@Builtin
@traced("argmax")
def argmax(
    input: torch.Tensor,  # noqa: A002 - hxtorch's keyword
    dim: int | None = None,
    keepdim: bool = False,
    mock: bool = False,
) -> torch.Tensor:
    """Find the position of the largest readout.

    ``input`` are readouts in LSB of any shape, floored and clamped to -128..127 first. The whole tensor is searched if
    ``dim`` is None.

    Returns:
        int64 positions.

    Raises:
        RuntimeError: no chip is open and ``mock`` is false.
    """
    if not mock:
        connection.open_chip()
    return torch.argmax(readout(input), dim=dim, keepdim=keepdim)
