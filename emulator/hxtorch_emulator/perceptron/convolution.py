"""Convolutions: windows of the input unrolled into rows, kernels into columns, and one ``matmul``."""

import math
from collections.abc import Sequence

import torch

from hxtorch_emulator.builtin import Builtin
from hxtorch_emulator.perceptron.constants import defaults
from hxtorch_emulator.perceptron.multiplication import matmul


@Builtin
def conv1d(
    input: torch.Tensor,  # noqa: A002 - hxtorch's keyword
    weight: torch.Tensor,
    bias: torch.Tensor | None = None,
    stride: int = 1,
    num_sends: int = 1,
    wait_between_events: int = defaults.wait_between_events,
    mock: bool = False,
) -> torch.Tensor:
    """Convolve in one dimension, without padding, dilation or groups.

    ``input`` is (batch, in_channels, length), 0..31, ``weight`` (out_channels, in_channels, kernel), -63..63, and
    ``bias`` (out_channels,), added in software. ``stride`` may be a sequence of one. The other keywords are those of
    ``mac``.

    Returns:
        (batch, out_channels, windows).

    Raises:
        RuntimeError: the shapes do not fit.
    """
    _require_shapes(input, weight, axes=1)
    (step,) = _steps(stride, 1)
    windows = input.unfold(-1, weight.shape[-1], step).transpose(1, 2)
    y = _multiply_windows(windows, weight, num_sends, wait_between_events, mock).transpose(1, 2)
    return _biased(y, bias)


@Builtin
def conv2d(
    input: torch.Tensor,  # noqa: A002 - hxtorch's keyword
    weight: torch.Tensor,
    bias: torch.Tensor | None = None,
    stride: int | Sequence[int] = 1,
    num_sends: int = 1,
    wait_between_events: int = defaults.wait_between_events,
    mock: bool = False,
) -> torch.Tensor:
    """Convolve in two dimensions, without padding, dilation or groups.

    ``input`` is (batch, in_channels, height, width), 0..31, ``weight`` (out_channels, in_channels, kernel height,
    kernel width), -63..63, and ``bias`` (out_channels,), added in software. ``stride`` is one number for both axes or
    (vertical, horizontal). The other keywords are those of ``mac``.

    Returns:
        (batch, out_channels, rows of windows, columns of windows).

    Raises:
        RuntimeError: the shapes do not fit.
    """
    _require_shapes(input, weight, axes=2)
    down, across = _steps(stride, 2)
    windows = input.unfold(2, weight.shape[2], down).unfold(3, weight.shape[3], across)
    y = _multiply_windows(windows.permute(0, 2, 3, 1, 4, 5), weight, num_sends, wait_between_events, mock)
    return _biased(y.permute(0, 3, 1, 2), bias)


@Builtin
def expanded_conv1d(
    input: torch.Tensor,  # noqa: A002 - hxtorch's keyword
    weight: torch.Tensor,
    bias: torch.Tensor | None = None,
    stride: int = 1,
    num_expansions: int = 1,
    num_sends: int = 1,
    wait_between_events: int = defaults.wait_between_events,
    mock: bool = False,
) -> torch.Tensor:
    """Convolve in one dimension, several neighbouring outputs in one pass over the chip.

    Shifted copies of the kernel stand side by side in one matrix, whose windows are that much longer.

    ``num_expansions`` is the number of copies, at least 1; the other arguments are those of ``conv1d``.

    Returns:
        (batch, out_channels, windows), as from ``conv1d`` up to rounding per tile.

    Raises:
        RuntimeError: the shapes do not fit, or there is no copy.
    """
    _require_shapes(input, weight, axes=1)
    if num_expansions < 1:
        raise RuntimeError(f"num_expansions is at least 1, but got {num_expansions}")
    (step,) = _steps(stride, 1)
    out_channels, in_channels, kernel = weight.shape
    outputs = (input.shape[-1] - kernel) // step + 1
    passes = math.ceil(outputs / num_expansions)
    length = kernel + (num_expansions - 1) * step
    needed = (passes - 1) * num_expansions * step + length
    padded = torch.nn.functional.pad(input, (0, max(0, needed - input.shape[-1])))
    shifted = [
        torch.nn.functional.pad(weight, (copy * step, length - kernel - copy * step))
        for copy in range(num_expansions)
    ]
    windows = padded.unfold(-1, length, num_expansions * step)[:, :, :passes].transpose(1, 2)
    matrix = torch.stack(shifted).view(num_expansions * out_channels, in_channels, length)
    y = _multiply_windows(windows, matrix, num_sends, wait_between_events, mock)
    y = y.reshape(-1, passes * num_expansions, out_channels)[:, :outputs].transpose(1, 2)
    return _biased(y, bias)


def _multiply_windows(
    windows: torch.Tensor, weight: torch.Tensor, num_sends: int, wait: int, mock: bool
) -> torch.Tensor:
    """Multiply (batch, positions..., in_channels, kernel...) by the kernels: (batch, positions..., out_channels)."""
    positions = windows.shape[: windows.dim() - weight.dim() + 1]
    rows = windows.reshape(*positions, weight[0].numel())
    return matmul(rows, weight.flatten(1).t(), num_sends=num_sends, wait_between_events=wait, mock=mock)


def _biased(y: torch.Tensor, bias: torch.Tensor | None) -> torch.Tensor:
    """Add ``bias`` to the channels of ``y``, (batch, channels, positions...), contiguous as hxtorch gives it."""
    y = y.contiguous()
    return y if bias is None else y + bias.view(-1, *[1] * (y.dim() - 2))


def _require_shapes(x: torch.Tensor, weight: torch.Tensor, *, axes: int) -> None:
    if x.dim() != axes + 2 or weight.dim() != axes + 2:
        raise RuntimeError(
            f"input and weight have {axes + 2} dimensions each, but got {x.dim()} and {weight.dim()}"
        )
    if x.shape[1] != weight.shape[1]:
        raise RuntimeError(f"input has {x.shape[1]} channels, but the weight is for {weight.shape[1]}")
    if any(kernel > size for kernel, size in zip(weight.shape[2:], x.shape[2:], strict=True)):
        raise RuntimeError(
            f"the kernel {tuple(weight.shape[2:])} is larger than the input {tuple(x.shape[2:])}"
        )


def _steps(stride: int | Sequence[int], axes: int) -> tuple[int, ...]:
    steps = (stride,) * axes if isinstance(stride, int) else tuple(stride)
    if len(steps) == 1:
        steps *= axes
    if len(steps) != axes or min(steps) < 1:
        raise RuntimeError(f"stride is one or {axes} positive number(s), but got {stride}")
    return steps
