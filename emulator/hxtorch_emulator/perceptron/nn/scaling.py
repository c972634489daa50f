"""Bringing inputs and weights into the ranges of the chip."""

import torch

from hxtorch_emulator.perceptron import constants


def scale_input(x_in: torch.Tensor) -> torch.Tensor:
    """Scale ``x_in`` so that its maximum is the largest input, 31; unchanged without a positive one.

    The factor is a constant to the gradient.
    """
    maximum = x_in.detach().max()
    if maximum <= 0:
        return x_in
    return x_in * (constants.input_activation_max / maximum)


def scale_weight(weight: torch.Tensor) -> torch.Tensor:
    """Scale ``weight`` so that its largest magnitude is 63; unchanged when all are zero.

    The factor is a constant to the gradient.
    """
    maximum = weight.detach().abs().max()
    if maximum <= 0:
        return weight
    return weight * (constants.synaptic_weight_max / maximum)


def clamp_weight_(weight: torch.Tensor) -> torch.Tensor:
    """Clamp the values of ``weight`` to -63..63 in place, unseen by autograd; return ``weight`` itself."""
    with torch.no_grad():
        weight.data.clamp_(constants.synaptic_weight_min, constants.synaptic_weight_max)
    return weight
