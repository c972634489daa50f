"""Gaussian readout noise."""

import torch


def fill_normal(out: torch.Tensor, mean: float, std: float) -> torch.Tensor:
    """Fill ``out`` with independent normal numbers from torch's default generator and return it.

    Args:
        out: float32, contiguous, any shape.
        mean: their mean.
        std: their standard deviation, > 0.
    """
    return out.normal_(mean, std)
