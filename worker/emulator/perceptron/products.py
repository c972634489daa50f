"""Exact products of rounded inputs and weights, one for each tile of 128 rows.

Their magnitude stays below 128 * 31 * 63 < 2**24, so float32 and int32 hold them exactly and the order of
summation does not matter. On processors with VNNI, 8-bit integer products are several times as fast.
"""

import functools

import torch

from worker.emulator.perceptron import constants
from worker.emulator.perceptron.scratch import scratch

_HEIGHT = constants.hardware_matrix_height


@functools.cache
def has_fast_integers() -> bool:
    """Whether this machine multiplies 8-bit integers fast, and exactly: it is tried on the largest numbers."""
    if not (hasattr(torch, "_int_mm") and torch.cpu._is_vnni_supported()):
        return False
    inputs = torch.full((3, _HEIGHT), constants.input_activation_max, dtype=torch.int8)
    weights = torch.full((_HEIGHT, 5), constants.synaptic_weight_min, dtype=torch.int8)
    weights[::3] = constants.synaptic_weight_max
    exact = inputs.float() @ weights.float()
    return torch.equal(torch._int_mm(inputs, weights).float(), exact)


def operand(name: str, values: torch.Tensor) -> torch.Tensor:
    """``values``, integers of at most 8 bits, in the type this machine multiplies fastest.

    The memory is the scratch called ``name``; what is of that type already is returned itself.
    """
    if not has_fast_integers() or values.dtype == torch.int8:
        return values
    return scratch.take_like(name, values, torch.int8).copy_(values)


def tile_products(inputs: torch.Tensor, weights: torch.Tensor) -> torch.Tensor:
    """Products of each tile of 128 rows, in memory that the next call on this thread uses again.

    Args:
        inputs: (batch, rows), integers 0..31 from ``operand``.
        weights: (rows, columns), integers -63..63 from ``operand``.

    Returns:
        (tiles, batch, columns), integers in int32 or float32.
    """
    batch, (rows, columns) = inputs.shape[0], weights.shape
    tiles = -(-rows // _HEIGHT)
    integers = inputs.dtype == torch.int8
    shape = torch.Size((tiles, batch, columns))
    products = scratch.take("products", shape, torch.int32 if integers else torch.float32)
    multiply = torch._int_mm if integers else torch.mm
    columns_of_inputs, rows_of_weights = torch.split(inputs, _HEIGHT, 1), torch.split(weights, _HEIGHT)
    for x, w, product in zip(columns_of_inputs, rows_of_weights, products.unbind(), strict=True):
        multiply(x, w, out=product)
    return products
