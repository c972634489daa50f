"""Reading out the tiles of a product and adding the readouts up: exact, and fast where no readout is clamped.

Each tile of 128 rows is read out on its own: made noisy, floored, clamped to -128..127, and only
then added up. Noise for every tile costs more than the products themselves, so the tiles in which no clamp can act
are added up first, and one draw gives the noise of their sum:

Normal noise of standard deviation s >= 1 spreads the fractional part of a readout so evenly that it is
independent of everything else to within exp(-2 (pi s)**2), 3e-9 at s = 1. Then the sum of T floored readouts
is the floor of their sum less T - 1 independent uniform numbers. Those are drawn together with the noise,
as one normal number of the same mean and variance; the distribution function differs from the tile-wise
one by less than 5e-5 at s = 1 and 4e-6 at the default s = 2 (Edgeworth's next term; T = 2 is the worst).

A tile with a charge so near the end of the range that its clamp may act is read out on its own, all of it: singling
such readouts out was measured to be slower at every batch size, since in a trained network every batch has some.
"""

import functools
from collections.abc import Callable, Iterable

import torch

from hxtorch_emulator.perceptron import constants
from hxtorch_emulator.perceptron.draws import draw_sum, read_each
from hxtorch_emulator.perceptron.ranges import extremes
from hxtorch_emulator.perceptron.scratch import scratch

Tiles = Iterable[torch.Tensor]
"""What the neurons hold tile by tile, each (crops, columns), contiguous and used before the next is asked for; the
first one's memory stays, and all may be changed."""

CHUNK_READOUTS = 1 << 16
"""Sums computed at a time: 256 KiB of float32, so that a tile is still in a core's cache when it is added."""

SAFE_SIGMAS = 7.0
"""A readout this many standard deviations inside the range is clamped once in 10**12 times."""

_LOW, _HIGH = constants.output_activation_min, constants.output_activation_max


def add_up(
    products: Callable[[int, int], Tiles],
    *,
    batch: int,
    columns: int,
    scale: float,
    noise_std: float,
    device: torch.device,
) -> torch.Tensor:
    """Compute the noisy readouts of a whole batch, in chunks that fit the cache.

    Args:
        products: gives the ``Tiles`` of the crops from a start to a stop.
        batch: number of crops.
        columns: of the matrix.
        scale: LSB per unit of the products.
        noise_std: of each readout, in LSB.
        device: of the products.

    Returns:
        (batch, columns), -128..127.
    """
    y = torch.empty(batch, columns, device=device)
    if y.numel() == 0:
        return y
    chunk = max(1, CHUNK_READOUTS // columns)
    for start in range(0, batch, chunk):
        stop = min(batch, start + chunk)
        _read_out(products(start, stop), scale, noise_std, y[start:stop])
    return y


def _read_out(tiles: Tiles, scale: float, noise_std: float, out: torch.Tensor) -> None:
    """Add the readouts of all tiles up into ``out``, (crops, columns)."""
    limit = (_HIGH + 1 - SAFE_SIGMAS * noise_std) / scale if noise_std >= 1.0 else -1.0
    filled = False

    def add(draw: Callable[[torch.Tensor], torch.Tensor]) -> None:
        nonlocal filled
        if filled:
            out.add_(draw(scratch.take("readouts of a tile", out.shape, out.dtype, out.device)))
        else:
            draw(out)
            filled = True

    unclamped: torch.Tensor | None = None
    count = 0
    for number, charges in enumerate(tiles):
        if not _lie_within(charges, limit):
            add(functools.partial(read_each, charges, scale, noise_std))
            continue
        count += 1
        if unclamped is None:
            unclamped = (
                charges
                if number == 0
                else scratch.take_like("sum of tiles", charges, charges.dtype).copy_(charges)
            )
        else:
            unclamped.add_(charges)
    if unclamped is not None:
        add(functools.partial(draw_sum, unclamped, count, scale, noise_std))
    out.clamp_(_LOW, _HIGH)


def _lie_within(charges: torch.Tensor, limit: float) -> bool:
    """Return whether all charges lie in -limit..limit; NaN does not."""
    if limit < 0:
        return False
    smallest, largest = extremes(charges)
    return -limit <= smallest <= largest <= limit
