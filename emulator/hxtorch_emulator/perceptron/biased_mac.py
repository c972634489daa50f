"""A multiply-accumulate and the addition of a bias as one step, as a linear layer needs them."""

from dataclasses import dataclass
from typing import Any

import torch

from hxtorch_emulator.perceptron import execution
from hxtorch_emulator.perceptron.addition import add_to_readouts
from hxtorch_emulator.perceptron.gradients import is_gradient_wanted
from hxtorch_emulator.perceptron.mocking import get_mock_parameter


@dataclass(frozen=True, slots=True)
class _Settings:
    """Options of a multiplication; the fields are those of ``biased_mac``."""

    num_sends: int
    wait_between_events: int
    mock: bool
    saturate_weights: bool


class _BiasedMac(torch.autograd.Function):
    """The chip's product and bias forward; the gradient of the plain product, scaled, and sum backward.

    The scale is that of the mock parameter in force when the gradient is computed, as in hxtorch.
    """

    @staticmethod
    def forward(
        ctx: Any, x: torch.Tensor, weights: torch.Tensor, bias: torch.Tensor | None, settings: _Settings
    ) -> torch.Tensor:
        ctx.save_for_backward(x, weights)
        ctx.num_sends = settings.num_sends
        ctx.bias_shape = None if bias is None else bias.shape
        return _accumulate(x, weights, bias, settings)

    @staticmethod
    def backward(ctx: Any, *grads: torch.Tensor) -> tuple[torch.Tensor | None, ...]:
        x, weights = ctx.saved_tensors
        grad = (grads[0] * (get_mock_parameter().gain * ctx.num_sends)).to(
            torch.promote_types(x.dtype, weights.dtype)
        )
        x, weights = x.to(grad.dtype), weights.to(grad.dtype)
        needs_x, needs_weights, needs_bias = ctx.needs_input_grad[:3]
        grad_x = grad @ weights.t() if needs_x else None
        grad_weights = _gradient_of_weights(x, grad, weights.stride()) if needs_weights else None
        grad_bias = grads[0].sum_to_size(ctx.bias_shape) if needs_bias else None
        return grad_x, grad_weights, grad_bias, None


def _gradient_of_weights(x: torch.Tensor, grad: torch.Tensor, stride: tuple[int, ...]) -> torch.Tensor:
    """Return the gradient, (rows, columns), laid out as the weights are: autograd would copy any other layout."""
    if x.dim() == 1:
        return torch.outer(x, grad)
    return (grad.t() @ x).t() if stride[0] == 1 else x.t() @ grad


def _accumulate(
    x: torch.Tensor, weights: torch.Tensor, bias: torch.Tensor | None, settings: _Settings
) -> torch.Tensor:
    y = execution.accumulate(
        x,
        weights,
        num_sends=settings.num_sends,
        wait_between_events=settings.wait_between_events,
        mock=settings.mock,
        saturate_weights=settings.saturate_weights,
    )
    return y if bias is None else add_to_readouts(y, bias)


def biased_mac(
    x: torch.Tensor,
    weights: torch.Tensor,
    bias: torch.Tensor | None = None,
    *,
    num_sends: int,
    wait_between_events: int,
    mock: bool,
    saturate_weights: bool = False,
) -> torch.Tensor:
    """Compute ``add(mac(x, weights, ...), bias)`` in fewer passes over weights and readouts, with the same results.

    ``bias`` is (columns,), or None for ``mac`` alone, whose keywords the others are. ``saturate_weights`` first clamps
    ``weights`` (float32) themselves to -63..63, as ``clamp_weight_`` does.

    Returns:
        (columns,) or (batch, columns), -128..127.

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
    if weights.shape[0] == 0:
        raise RuntimeError(f"weights have at least one row, but got shape {tuple(weights.shape)}")
    settings = _Settings(num_sends, wait_between_events, mock, saturate_weights)
    if not (is_gradient_wanted(x, weights) or (bias is not None and is_gradient_wanted(bias))):
        return _accumulate(x, weights, bias, settings)
    y: torch.Tensor = _BiasedMac.apply(x, weights, bias, settings)  # type: ignore[no-untyped-call]  # torch types apply as untyped
    return y
