"""Exact products of rounded inputs and weights, one for each tile of 128 rows.

Their magnitude stays below 128 * 31 * 63 < 2**24, so float32 and int32 hold them exactly and the order of
summation does not matter. On processors with VNNI, 8-bit integer products are several times as fast.
"""

import functools
from collections.abc import Iterator

import torch

from hxtorch_emulator.perceptron import constants
from hxtorch_emulator.perceptron.ranges import Rounded
from hxtorch_emulator.perceptron.scratch import scratch

_HEIGHT = constants.hardware_matrix_height


@functools.cache
def has_fast_integers() -> bool:
    """Return whether this machine multiplies 8-bit integers fast, and exactly: it is tried on the largest numbers."""
    if not (hasattr(torch, "_int_mm") and torch.cpu._is_vnni_supported()):
        return False
    inputs = torch.full((3, _HEIGHT), constants.input_activation_max, dtype=torch.int8, device="cpu")
    weights = torch.full((_HEIGHT, 5), constants.synaptic_weight_min, dtype=torch.int8, device="cpu")
    weights[::3] = constants.synaptic_weight_max
    exact = inputs.float() @ weights.float()
    return torch.equal(torch._int_mm(inputs, weights).float(), exact)


def operands(inputs: Rounded, weights: Rounded) -> tuple[torch.Tensor, torch.Tensor]:
    """Convert both, of at most 8 bits, to the type that this machine multiplies fastest and exactly.

    The memory is scratch; what is of that type already is returned itself.
    """
    x, w = inputs.values, weights.values
    if inputs.has_nan or weights.has_nan or x.device.type != "cpu" or not has_fast_integers():
        return x, w
    return (
        scratch.take_like("inputs", x, torch.int8).copy_(x),
        scratch.take_like("weights", w, torch.int8).copy_(w),
    )


def tile_products(inputs: torch.Tensor, weights: torch.Tensor) -> Iterator[torch.Tensor]:
    """Yield the products of each tile of 128 rows, one after the other.

    Their memory is used again: that of the first by the next call on this thread, that of the others by the
    next tile already.

    Args:
        inputs: (batch, rows), integers 0..31 or NaN, from ``operands``.
        weights: (rows, columns), integers -63..63 or NaN, from ``operands``.

    Yields:
        (batch, columns), integers in int32, or in float32 with NaN.
    """
    shape = torch.Size((inputs.shape[0], weights.shape[1]))
    integers = inputs.dtype == torch.int8
    multiply, dtype = (torch._int_mm, torch.int32) if integers else (torch.mm, torch.float32)
    first = scratch.take("first tile", shape, dtype, inputs.device)
    other = scratch.take("other tile", shape, dtype, inputs.device)
    for start in range(0, weights.shape[0], _HEIGHT):
        stop = start + _HEIGHT
        yield multiply(inputs[:, start:stop], weights[start:stop], out=other if start else first)
