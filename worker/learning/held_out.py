"""The part of a training set that the scale of the scores is fitted on."""

import torch
from torch import Tensor

HELD_OUT_PART = 0.05

_SEED = 20200613


def split_held_out(crops: int) -> tuple[Tensor, Tensor]:
    """Choose a twentieth of `crops` training crops, at least one, at random and always the same.

    The choice does not depend on a recipe's seed, so a training that continues a network holds out the crops that
    its first training held out.

    Returns:
        The places of the crops to learn from and of those held out, int64, ascending.
    """
    order = torch.randperm(crops, generator=torch.Generator().manual_seed(_SEED))
    count = max(1, round(crops * HELD_OUT_PART))
    return order[count:].sort().values, order[:count].sort().values
