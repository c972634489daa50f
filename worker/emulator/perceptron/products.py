"""Exact products of rounded inputs and weights, one for each tile of 128 rows.

Their magnitude stays below 128 * 31 * 63 < 2**24, so float32 and int32 hold them exactly and the order of
summation does not matter. On processors with VNNI, 8-bit integer products are several times as fast.
"""

import functools
import threading

import torch

from worker.emulator.perceptron import constants

_HEIGHT = constants.hardware_matrix_height


class _Scratch(threading.local):
    """Memory that is used again by the next product of the same thread: fresh pages are slow."""

    def __init__(self) -> None:
        self._buffers: dict[torch.dtype, torch.Tensor] = {}

    def take(self, shape: tuple[int, ...], dtype: torch.dtype) -> torch.Tensor:
        size = torch.Size(shape).numel()
        buffer = self._buffers.get(dtype)
        if buffer is None or buffer.numel() < size:
            with torch.inference_mode(False):
                buffer = torch.empty(size, dtype=dtype)
            self._buffers[dtype] = buffer
        return buffer[:size].view(shape)


_scratch = _Scratch()


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


def operand_dtype() -> torch.dtype:
    """The type that ``tile_products`` wants its operands in on this machine."""
    return torch.int8 if has_fast_integers() else torch.float32


def tile_products(inputs: torch.Tensor, weights: torch.Tensor) -> torch.Tensor:
    """Products of each tile of 128 rows, in memory that the next call on this thread uses again.

    Args:
        inputs: (batch, rows), integers 0..31 of ``operand_dtype()``.
        weights: (rows, columns), integers -63..63 of ``operand_dtype()``.

    Returns:
        (tiles, batch, columns), integers in int32 or float32.
    """
    batch, (rows, columns) = inputs.shape[0], weights.shape
    tiles = -(-rows // _HEIGHT)
    integers = inputs.dtype == torch.int8
    products = _scratch.take((tiles, batch, columns), torch.int32 if integers else torch.float32)
    multiply = torch._int_mm if integers else torch.mm
    columns_of_inputs, rows_of_weights = torch.split(inputs, _HEIGHT, 1), torch.split(weights, _HEIGHT)
    for x, w, product in zip(columns_of_inputs, rows_of_weights, products.unbind(), strict=True):
        multiply(x, w, out=product)
    return products
