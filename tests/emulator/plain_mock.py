"""A plain transcription of the mock of hxtorch.perceptron, as the reference that the emulator is compared with.

Tile by tile, one ``torch.normal`` per tile, nothing shared between the steps, as hxtorch's own mock works.
"""

from typing import Any

import torch

GAIN = 0.002
NOISE_STD = 2.0


def _check(values: torch.Tensor, low: int, high: int) -> None:
    if values.min() < low or values.max() > high:
        raise OverflowError(f"expected {low}..{high}, observed {values.min()}..{values.max()}")


class _Mac(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: torch.Tensor, weights: torch.Tensor, num_sends: int) -> torch.Tensor:
        ctx.save_for_backward(x, weights)
        ctx.scale = GAIN * num_sends
        x, weights = torch.round(x), torch.round(weights)
        _check(weights, -63, 63)
        _check(x, 0, 31)
        tiles = []
        for x_tile, w_tile in zip(torch.split(x, 128, 1), torch.split(weights, 128), strict=True):
            y = torch.matmul(x_tile, w_tile) * (num_sends * GAIN)
            y = y + torch.normal(0.0, NOISE_STD, y.shape)
            tiles.append(torch.clamp(torch.floor(y), -128, 127))
        return torch.clamp(torch.stack(tiles).sum(0), -128, 127)

    @staticmethod
    def backward(ctx: Any, *grads: torch.Tensor) -> tuple[torch.Tensor | None, torch.Tensor | None, None]:
        x, weights = ctx.saved_tensors
        grad = grads[0] * ctx.scale
        grad_x = grad @ weights.t() if ctx.needs_input_grad[0] else None
        return grad_x, x.t() @ grad, None


class _Add(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, left: torch.Tensor, right: torch.Tensor) -> torch.Tensor:
        left, right = (torch.clamp(torch.floor(side), -128, 127) for side in (left, right))
        ctx.shape = right.shape
        return torch.clamp(left + right, -128, 127)

    @staticmethod
    def backward(ctx: Any, *grads: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        return grads[0], grads[0].sum_to_size(ctx.shape)


class _ConvertingRelu(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: torch.Tensor, shift: int) -> torch.Tensor:
        ctx.save_for_backward(x)
        ctx.scale = 1 / 2**shift
        rectified = torch.clamp(torch.floor(x), 0, 127)
        return torch.clamp(torch.floor(rectified / 2**shift), 0, 31)

    @staticmethod
    def backward(ctx: Any, *grads: torch.Tensor) -> tuple[torch.Tensor, None]:
        (x,) = ctx.saved_tensors
        return grads[0] * ctx.scale * (x > 0), None


class PlainLinear(torch.nn.Linear):
    """A fully connected layer on the plain mock.

    Args:
        weight: Initial weights, (outputs, inputs).
        bias: Initial bias, (outputs,).
        num_sends: Repetitions of each input.
    """

    def __init__(self, weight: torch.Tensor, bias: torch.Tensor, num_sends: int) -> None:
        super().__init__(weight.shape[1], weight.shape[0])
        self.num_sends = num_sends
        with torch.no_grad():
            self.weight.copy_(weight)
            self.bias.copy_(bias)

    def forward(self, input: torch.Tensor) -> torch.Tensor:  # noqa: A002 - torch's keyword
        """Map inputs (batch, inputs), 0..31, to readouts (batch, outputs)."""
        with torch.no_grad():
            self.weight.clamp_(-63, 63)
        y: torch.Tensor = _Mac.apply(input, self.weight.t(), self.num_sends)  # type: ignore[no-untyped-call]  # torch types apply as untyped
        summed: torch.Tensor = _Add.apply(y, self.bias)  # type: ignore[no-untyped-call]  # torch types apply as untyped
        return summed


class PlainConvertingReLU(torch.nn.Module):
    """A converting rectifier on the plain mock.

    Args:
        shift: Number of bits to drop.
    """

    def __init__(self, shift: int) -> None:
        super().__init__()
        self.shift = shift

    def forward(self, input: torch.Tensor) -> torch.Tensor:  # noqa: A002 - torch's keyword
        """Map readouts to inputs of the next layer, 0..31."""
        y: torch.Tensor = _ConvertingRelu.apply(input, self.shift)  # type: ignore[no-untyped-call]  # torch types apply as untyped
        return y
