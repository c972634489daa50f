"""Multiply-accumulate: ``mac`` and the ``torch.matmul``-like ``matmul`` around it."""

from typing import Any

import torch

from worker.emulator.perceptron import execution
from worker.emulator.perceptron.constants import defaults
from worker.emulator.perceptron.gradients import is_gradient_wanted
from worker.emulator.perceptron.mocking import get_mock_parameter
from worker.emulator.perceptron.tracing import traced


class _Mac(torch.autograd.Function):
    """The chip's product forward; the gradient of the plain product, scaled, backward."""

    @staticmethod
    def forward(
        ctx: Any, x: torch.Tensor, weights: torch.Tensor, num_sends: int, wait: int, mock: bool
    ) -> torch.Tensor:
        ctx.save_for_backward(x, weights)
        ctx.scale = get_mock_parameter().gain * num_sends
        return execution.accumulate(x, weights, num_sends=num_sends, wait_between_events=wait, mock=mock)

    @staticmethod
    def backward(
        ctx: Any, *grads: torch.Tensor
    ) -> tuple[torch.Tensor | None, torch.Tensor | None, None, None, None]:
        x, weights = ctx.saved_tensors
        grad = grads[0] * ctx.scale
        grad_x = grad @ weights.t() if ctx.needs_input_grad[0] else None
        grad_weights = None
        if ctx.needs_input_grad[1]:
            grad_weights = torch.outer(x, grad) if x.dim() == 1 else x.t() @ grad
        return grad_x, grad_weights, None, None, None


@traced("mac")
def mac(
    x: torch.Tensor,
    weights: torch.Tensor,
    num_sends: int = 1,
    wait_between_events: int = defaults.wait_between_events,
    mock: bool = False,
    madc_recording_neuron_id: int = 0,  # noqa: ARG001 - hxtorch's signature; the emulator has no MADC
    madc_recording_path: str = "",
) -> torch.Tensor:
    """Multiply and accumulate on the chip, or in its mock.

    Args:
        x: input activations, (rows,) or (batch, rows), rounding to 0..31.
        weights: synaptic weights, (rows, columns), rounding to -63..63.
        num_sends: how often each input is sent.
        wait_between_events: FPGA cycles of 8 ns between two events.
        mock: compute an ideal chip with the current mock parameter instead of the open one.
        madc_recording_neuron_id: accepted for hxtorch's sake.
        madc_recording_path: must stay empty: there is no MADC to record.

    Returns:
        Readouts in LSB, (columns,) or (batch, columns), -128..127, float32 holding integers.

    Raises:
        OverflowError: a rounded weight or input is out of range.
        RuntimeError: the shapes do not fit, or no chip is open and ``mock`` is false.
    """
    if weights.dim() != 2:
        raise RuntimeError(f"weights have shape (rows, columns), but got {weights.dim()} dimension(s)")
    if x.dim() not in {1, 2}:
        raise RuntimeError(f"x has shape (rows,) or (batch, rows), but got {x.dim()} dimension(s)")
    if x.shape[-1] != weights.shape[0]:
        raise RuntimeError(f"x has {x.shape[-1]} rows, but the weights have {weights.shape[0]}")
    if madc_recording_path:
        raise RuntimeError("the emulator records no MADC samples; leave madc_recording_path empty")
    if not is_gradient_wanted(x, weights):
        return execution.accumulate(
            x, weights, num_sends=num_sends, wait_between_events=wait_between_events, mock=mock
        )
    y: torch.Tensor = _Mac.apply(x, weights, num_sends, wait_between_events, mock)  # type: ignore[no-untyped-call]  # torch types apply as untyped
    return y


@traced("mac")
def matmul(
    input: torch.Tensor,  # noqa: A002 - hxtorch's keyword
    other: torch.Tensor,
    num_sends: int = 1,
    wait_between_events: int = defaults.wait_between_events,
    mock: bool = False,
    madc_recording_neuron_id: int = 0,
    madc_recording_path: str = "",
) -> torch.Tensor:
    """``torch.matmul`` on the chip: see ``mac`` for the ranges and the keywords.

    Args:
        input: (..., rows); leading axes are folded into one batch.
        other: (rows, columns) or (rows,).
        num_sends: how often each input is sent.
        wait_between_events: FPGA cycles of 8 ns between two events.
        mock: compute in the mock.
        madc_recording_neuron_id: accepted for hxtorch's sake.
        madc_recording_path: must stay empty.

    Returns:
        (..., columns), or (...) when ``other`` has one axis.

    Raises:
        OverflowError: a rounded weight or input is out of range.
        RuntimeError: the shapes do not fit, or no chip is open and ``mock`` is false.
    """
    if input.dim() == 0:
        raise RuntimeError("input has at least one dimension, but got a scalar")
    if other.dim() not in {1, 2}:
        raise RuntimeError(f"other has one or two dimensions, but got {other.dim()}")
    weights = other.unsqueeze(-1) if other.dim() == 1 else other
    x = input.reshape(-1, input.shape[-1]) if input.dim() > 2 else input
    y = mac(
        x,
        weights,
        num_sends,
        wait_between_events,
        mock,
        madc_recording_neuron_id,
        madc_recording_path,
    )
    return y.reshape(input.shape[:-1] + other.shape[1:])
