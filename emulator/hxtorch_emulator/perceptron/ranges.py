"""The door for numbers that go to the chip: rounded, and refused outside the range.

What it gives is scratch memory, valid until it is asked again.
"""

import math
import struct
from collections.abc import Callable
from typing import Final, NamedTuple

import torch

from hxtorch_emulator.perceptron import constants
from hxtorch_emulator.perceptron.scratch import scratch

_PAST_LARGEST_INPUT: Final[int] = struct.unpack(
    "<i", struct.pack("<f", constants.input_activation_max + 0.5)
)[0]
"""The bits of the smallest positive float32 that rounds to 32."""


def _half_away_from_zero(values: torch.Tensor, *, out: torch.Tensor) -> torch.Tensor:
    """Round as C's ``lround`` does.

    The largest number below a half is added to the magnitude: of a half itself, the sum would round up to 1 for
    0.49999997 too.
    """
    below_half = 0.5 - torch.finfo(values.dtype).eps / 4
    return torch.sign(values, out=out).mul_(below_half).add_(values).trunc_()


class Door(NamedTuple):
    """What a backend does with numbers on their way in.

    Attributes:
        round: gives the nearest integers of its argument, in ``out``.
        takes_nan: pass NaN on instead of refusing it.
    """

    round: Callable[..., torch.Tensor]
    takes_nan: bool


MOCK: Final = Door(torch.round, takes_nan=True)
"""hxtorch's mock: half to even, as torch rounds."""

CHIP: Final = Door(_half_away_from_zero, takes_nan=False)
"""hxtorch's conversion to the chip's integers: half away from zero."""


class Rounded(NamedTuple):
    """What went in.

    Attributes:
        values: float32, integers or NaN.
        has_nan: whether NaN is among them.
    """

    values: torch.Tensor
    has_nan: bool


def round_weights(weights: torch.Tensor, door: Door, *, saturate: bool = False) -> Rounded:
    """Round to the nearest synaptic weights, of the same shape: -63..63.

    Args:
        weights: any shape.
        door: the backend's.
        saturate: clamp ``weights`` themselves, float32, to the range first, in place and unseen by autograd. Weights
            that are found inside are not written to, and the range is not checked a second time.

    Raises:
        OverflowError: a rounded weight is outside the range.
    """
    original, weights = weights, _floating(weights)
    low, high = constants.synaptic_weight_min, constants.synaptic_weight_max
    smallest, largest = extremes(weights) if weights.numel() else (0, 0)
    has_nan = False
    if not (low <= smallest and largest <= high):  # written so that NaN is looked at
        if saturate:
            weights = original.data.clamp_(low, high)
            smallest, largest = max(smallest, low), min(largest, high)
        has_nan = _refuse_outside(weights, (smallest, largest), door, "weights", low, high)
    return Rounded(_round(weights, door, "weights"), has_nan)


def round_inputs(inputs: torch.Tensor, door: Door) -> Rounded:
    """Round to the nearest input activations, of the same shape: 0..31.

    Raises:
        OverflowError: a rounded input is outside the range.
    """
    inputs = _floating(inputs)
    low, high = constants.input_activation_min, constants.input_activation_max
    has_nan = not _are_plainly_inputs(inputs) and _refuse_outside(
        inputs, extremes(inputs), door, "inputs", low, high
    )
    return Rounded(_round(inputs, door, "inputs"), has_nan)


def _floating(values: torch.Tensor) -> torch.Tensor:
    """Return ``values`` without gradient, as float64 where they are, else as float32."""
    return values.detach().to(torch.float64 if values.dtype == torch.float64 else torch.float32)


def _round(values: torch.Tensor, door: Door, name: str) -> torch.Tensor:
    out = scratch.take_like(name, values, torch.float32)
    if values.dtype == torch.float32:
        return door.round(values, out=out)
    return out.copy_(door.round(values, out=torch.empty_like(values)))


def _are_plainly_inputs(values: torch.Tensor) -> bool:
    """Return whether all values lie in 0..31.5, 31.5 excluded, from one pass over their bits.

    Positive floats have the order of their bits read as integers; a sign bit makes the integer negative, and
    infinity and NaN are larger than every number. False proves nothing: -0.3 is an input too.
    """
    if values.numel() == 0:
        return True
    if values.dtype != torch.float32:
        return False
    smallest, largest = extremes(values.view(torch.int32))
    return smallest >= 0 and largest < _PAST_LARGEST_INPUT


def _refuse_outside(
    values: torch.Tensor, bounds: tuple[float, float], door: Door, name: str, low: int, high: int
) -> bool:
    """Refuse values that do not round to low..high; rounding keeps the order, so their extremes decide.

    Args:
        values: any shape, not empty.
        bounds: their extremes, NaN if NaN is among them.
        door: the backend's; one that does not take NaN refuses it.
        name: of the values, for people.
        low: smallest integer of the range.
        high: largest integer of the range.

    Returns:
        Whether NaN is among ``values``.
    """
    has_nan = any(map(math.isnan, bounds))
    if has_nan and door.takes_nan:
        numbers = values[~values.isnan()]
        if numbers.numel() == 0:
            return True
        bounds = extremes(numbers)
    ends = torch.tensor(bounds, dtype=values.dtype, device="cpu")
    smallest, largest = door.round(ends, out=torch.empty_like(ends)).tolist()
    if not (low <= smallest and largest <= high):  # written so that NaN is refused too
        raise OverflowError(
            f"{name} must round to {low}..{high}, but the observed range is {smallest:g}..{largest:g}"
        )
    return has_nan


def extremes(values: torch.Tensor) -> tuple[float, float]:
    """Return the minimum and the maximum of ``values``, which has elements; NaN if one of them is NaN.

    torch finds both at once fast for integers, but for floats, which may hold NaN, one after the other is faster.
    """
    if values.dtype.is_floating_point:
        return values.amin().item(), values.amax().item()
    smallest, largest = torch.aminmax(values)
    return smallest.item(), largest.item()
