"""Whether an operation needs a gradient at all: autograd's machinery costs as much as a small product."""

import torch


def is_gradient_wanted(*values: torch.Tensor) -> bool:
    """Return whether autograd records operations on ``values`` now."""
    return torch.is_grad_enabled() and any(value.requires_grad for value in values)
