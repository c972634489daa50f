"""Placement of a tile's columns on the chip's neurons."""

import functools

import torch

from hxtorch_emulator.chip.fixed_pattern import NEURONS, ROWS

HEMISPHERE = NEURONS // 2
"""Neurons of one hemisphere: the columns of one tile."""


@functools.lru_cache(maxsize=64)
def neurons_of(rows: int, columns: int) -> torch.Tensor:
    """Return the neuron behind each column of each row tile, (row tiles, columns), 0..511.

    Tiles of 128 x 256 fill the two hemispheres in turn, down the rows first, then on to the next 256 columns;
    each matrix starts on the first hemisphere. Source: hxtorch's partitioning; the order is an assumption.
    """
    row_tiles = -(-rows // ROWS)
    column = torch.arange(columns, device="cpu")
    tile = (column // HEMISPHERE) * row_tiles + torch.arange(row_tiles, device="cpu").unsqueeze(1)
    return tile % 2 * HEMISPHERE + column % HEMISPHERE


def count_executions(rows: int, columns: int) -> int:
    """Count the executions for one matrix: two tiles at a time."""
    tiles = -(-rows // ROWS) * -(-columns // HEMISPHERE)
    return -(-tiles // 2)
