"""Random readouts of given charges: one by one, or the sum of several at once."""

import math

import torch

from hxtorch_emulator.noise import fill_normal
from hxtorch_emulator.perceptron import constants


def read_each(charges: torch.Tensor, scale: float, noise_std: float, out: torch.Tensor) -> torch.Tensor:
    """Read each of ``charges`` out on its own, into ``out`` of the same shape."""
    if noise_std > 0.0:
        fill_normal(out, 0.0, noise_std).add_(charges, alpha=scale)
    else:
        torch.mul(charges, scale, out=out)
    return out.floor_().clamp_(constants.output_activation_min, constants.output_activation_max)


def draw_sum(
    total: torch.Tensor, count: int, scale: float, noise_std: float, out: torch.Tensor
) -> torch.Tensor:
    """Draw the sum of ``count`` readouts that cannot be clamped, of charges that add up to ``total``, into ``out``."""
    return fill_normal(out, *_law(count, noise_std)).add_(total, alpha=scale).floor_()


def _law(count: int, noise_std: float) -> tuple[float, float]:
    """Return the mean and standard deviation of what ``count`` readouts add to their charges before the last floor."""
    return -(count - 1) / 2, math.sqrt(count * noise_std**2 + (count - 1) / 12)
