"""The door for numbers that go to the chip: rounded, and refused outside the range.

What it gives is scratch memory, valid until it is asked again.
"""

import torch

from hxtorch_emulator.perceptron import constants
from hxtorch_emulator.perceptron.scratch import scratch

_PAST_LARGEST_INPUT = torch.tensor(constants.input_activation_max + 0.5).view(torch.int32).item()
"""The bits of the smallest positive float32 that rounds to 32."""


def round_weights(weights: torch.Tensor, *, saturate: bool = False) -> torch.Tensor:
    """Round to the nearest synaptic weights: float32, same shape, -63..63.

    Args:
        weights: any shape.
        saturate: clamp ``weights`` themselves to the range first, in place and unseen by autograd. Weights
            that are found inside are not written to, and the range is not checked a second time.

    Raises:
        OverflowError: a rounded weight is outside the range.
    """
    original, weights = weights, weights.detach().to(torch.float32)
    low, high = constants.synaptic_weight_min, constants.synaptic_weight_max
    if weights.numel() > 0:
        smallest, largest = extremes(weights)
        if saturate and (smallest < low or largest > high):
            weights = original.data.clamp_(low, high).to(torch.float32)
        elif not (low <= smallest and largest <= high):  # written so that NaN is looked at
            _refuse_outside(smallest, largest, "weights", low, high)
    return torch.round(weights, out=scratch.take_like("weights", weights, torch.float32))


def round_inputs(inputs: torch.Tensor) -> torch.Tensor:
    """Round to the nearest input activations: float32, same shape, 0..31.

    Raises:
        OverflowError: a rounded input is outside the range.
    """
    inputs = inputs.detach().to(torch.float32)
    if not _are_plainly_inputs(inputs):
        low, high = constants.input_activation_min, constants.input_activation_max
        _refuse_outside(*extremes(inputs), "inputs", low, high)
    return torch.round(inputs, out=scratch.take_like("inputs", inputs, torch.float32))


def _are_plainly_inputs(values: torch.Tensor) -> bool:
    """Return whether all values lie in 0..31.5, 31.5 excluded, from one pass over their bits.

    Positive floats have the order of their bits read as integers; a sign bit makes the integer negative, and
    infinity and NaN are larger than every number. False proves nothing: -0.3 is an input too.
    """
    if values.numel() == 0:
        return True
    smallest, largest = extremes(values.view(torch.int32))
    return smallest >= 0 and largest < _PAST_LARGEST_INPUT


def _refuse_outside(smallest: float, largest: float, name: str, low: int, high: int) -> None:
    """Refuse extremes that do not round to low..high; rounding keeps the order, so no other value matters."""
    smallest, largest = (torch.tensor(bound).round().item() for bound in (smallest, largest))
    if not (low <= smallest and largest <= high):  # written so that NaN is refused too
        raise OverflowError(
            f"{name} must round to {low}..{high}, but the observed range is {smallest:g}..{largest:g}"
        )


def extremes(values: torch.Tensor) -> tuple[float, float]:
    """Return the minimum and the maximum of ``values``, which has elements; NaN if one of them is NaN.

    torch finds both at once fast for integers, but for floats, which may hold NaN, one after the other is faster.
    """
    if values.dtype.is_floating_point:
        return values.amin().item(), values.amax().item()
    smallest, largest = torch.aminmax(values)
    return smallest.item(), largest.item()
