"""The digital addition of the on-chip SIMD processor."""

from typing import Any

import torch

from hxtorch_emulator import connection
from hxtorch_emulator.builtin import Builtin
from hxtorch_emulator.perceptron import constants
from hxtorch_emulator.perceptron.gradients import is_gradient_wanted
from hxtorch_emulator.perceptron.tracing import traced


class _Add(torch.autograd.Function):
    """A saturating addition of integers, with the gradient of a plain addition."""

    @staticmethod
    def forward(ctx: Any, left: torch.Tensor, right: torch.Tensor) -> torch.Tensor:
        ctx.shapes = left.shape, right.shape
        return _sum(left, right)

    @staticmethod
    def backward(ctx: Any, *grads: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        left, right = ctx.shapes
        return grads[0].sum_to_size(left), grads[0].sum_to_size(right)


def _sum(left: torch.Tensor, right: torch.Tensor) -> torch.Tensor:
    """Add ``left`` and ``right`` and saturate, in a new tensor."""
    total, other = readout(left), readout(right)
    in_place = total.dtype == other.dtype and _fits(other, total)
    return clamp_readout_(total.add_(other) if in_place else total + other)


def _fits(small: torch.Tensor, large: torch.Tensor) -> bool:
    """Return whether ``small`` broadcasts to the shape of ``large``."""
    pairs = zip(reversed(small.shape), reversed(large.shape), strict=False)
    return small.dim() <= large.dim() and all(one in {1, other} for one, other in pairs)


def floating(values: torch.Tensor) -> torch.Tensor:
    """Return ``values`` as they are, or as float32 where they are integers."""
    return values if values.is_floating_point() else values.to(torch.float32)


def readout(values: torch.Tensor) -> torch.Tensor:
    """Return ``values`` as the processor holds them: floored, -128..127, floating, in a new tensor."""
    return clamp_readout_(torch.floor(floating(values.detach())))


def clamp_readout_(values: torch.Tensor) -> torch.Tensor:
    """Saturate ``values`` at -128..127, in place."""
    return values.clamp_(constants.output_activation_min, constants.output_activation_max)


def add_to_readouts(readouts: torch.Tensor, other: torch.Tensor) -> torch.Tensor:
    """Do ``add`` without gradient, in place where the types allow it; the left side surely holds integers -128..127.

    Flooring and clamping such integers changes nothing, so two passes over them are saved.

    Args:
        readouts: fresh from the chip or its mock, (..., columns).
        other: (columns,).
    """
    other = readout(other)
    same = readouts.dtype == other.dtype
    return clamp_readout_(readouts.add_(other) if same else readouts + other)


@Builtin
@traced("add")
def add(
    input: torch.Tensor,  # noqa: A002 - hxtorch's keyword
    other: torch.Tensor,
    alpha: int = 1,
    mock: bool = False,
) -> torch.Tensor:
    """Add two tensors of readouts and saturate.

    ``input`` and ``other``, whose shape broadcasts with it, are floored and clamped to -128..127; ``alpha`` must be 1.

    Returns:
        The sum, -128..127.

    Raises:
        RuntimeError: ``alpha`` is not 1; no chip is open and ``mock`` is false; or ``other`` has
            more dimensions than ``input``, which the chip cannot do.
    """
    if alpha != 1:
        raise RuntimeError(f"alpha must be 1 on the chip, but got {alpha}")
    if not mock:
        connection.open_chip()
        if other.dim() > input.dim():
            raise RuntimeError(
                f"other has {other.dim()} dimensions, more than the {input.dim()} of input; swap them"
            )
    if not is_gradient_wanted(input, other):
        return _sum(input, other)
    y: torch.Tensor = _Add.apply(input, other)  # type: ignore[no-untyped-call]  # torch types apply as untyped
    return y
