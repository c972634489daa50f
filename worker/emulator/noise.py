"""Gaussian readout noise, as fast as torch allows."""

import torch


def fill_normal(out: torch.Tensor, std: float) -> torch.Tensor:
    """Fill ``out`` with independent normal numbers of mean 0 and return it.

    Args:
        out: float32, contiguous, any shape.
        std: standard deviation, > 0.
    """
    return out.normal_(0.0, std)
