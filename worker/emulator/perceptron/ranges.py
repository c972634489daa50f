"""The door for numbers that go to the chip: rounded, and refused outside the range.

What it gives is scratch memory, valid until it is asked again.
"""

import torch

from worker.emulator.perceptron import constants
from worker.emulator.perceptron.scratch import scratch


def round_weights(weights: torch.Tensor) -> torch.Tensor:
    """The synaptic weights nearest to ``weights``: float32, same shape, -63..63.

    Raises:
        OverflowError: a rounded weight is outside the range.
    """
    return _round_into_range(weights, "weights", constants.synaptic_weight_min, constants.synaptic_weight_max)


def round_inputs(inputs: torch.Tensor) -> torch.Tensor:
    """The input activations nearest to ``inputs``: float32, same shape, 0..31.

    Raises:
        OverflowError: a rounded input is outside the range.
    """
    return _round_into_range(inputs, "inputs", constants.input_activation_min, constants.input_activation_max)


def _round_into_range(values: torch.Tensor, name: str, low: int, high: int) -> torch.Tensor:
    values = values.detach().to(torch.float32)
    if values.numel() > 0:
        # Rounding keeps the order, so the extremes can be found first; amin and amax beat aminmax.
        smallest, largest = (torch.round(bound).item() for bound in (values.amin(), values.amax()))
        if not (low <= smallest and largest <= high):  # written so that NaN is refused too
            raise OverflowError(
                f"{name} must round to {low}..{high}, but the observed range is {smallest:g}..{largest:g}"
            )
    return torch.round(values, out=scratch.take_like(name, values, torch.float32))
