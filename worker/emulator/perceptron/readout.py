"""Reading out the tiles of a product and adding the readouts up: exact, and fast where tiles agree.

Each tile of 128 rows is read out on its own: made noisy, floored, clamped to -128..127, and only
then added up. ``_add_tiles`` does just that. Noise for every tile costs more than the products themselves,
so ``_add_at_once`` draws the noise of the whole sum where no clamp can act:

Normal noise of standard deviation s >= 1 spreads the fractional part of a readout so evenly that it is
independent of everything else to within exp(-2 (pi s)**2), 3e-9 at s = 1. Then the sum of T floored readouts
is the floor of their sum less T - 1 independent uniform numbers. Those are drawn together with the noise,
as one normal number of the same mean and variance; the distribution function differs from the tile-wise
one by less than 5e-5 at s = 1 and 4e-6 at the default s = 2 (Edgeworth's next term; T = 2 is the worst).
"""

import math
from collections.abc import Callable

import torch

from worker.emulator.noise import fill_normal
from worker.emulator.perceptron import constants
from worker.emulator.perceptron.extremes import extremes

CHUNK_READOUTS = 1 << 19
"""Readouts computed at a time: 2 MiB of float32, which stays in a core's cache."""

SAFE_SIGMAS = 7.0
"""A readout this many standard deviations inside the range is clamped once in 10**12 times."""

_LOW, _HIGH = constants.output_activation_min, constants.output_activation_max


def add_up(
    products: Callable[[int, int], torch.Tensor],
    *,
    batch: int,
    shape: tuple[int, int],
    scale: float,
    noise_std: float,
) -> torch.Tensor:
    """Noisy readouts of a whole batch, computed in chunks that fit the cache.

    Args:
        products: gives what the neurons of the crops from a start to a stop hold, (tiles, crops, columns);
            used before it is asked again.
        batch: number of crops.
        shape: (tiles, columns).
        scale: LSB per unit of the products.
        noise_std: of each readout, in LSB.

    Returns:
        (batch, columns), -128..127.
    """
    tiles, columns = shape
    y = torch.empty(batch, columns)
    if y.numel() == 0:
        return y
    add = _add_at_once if tiles > 1 and noise_std >= 1.0 else _add_tiles
    chunk = max(1, CHUNK_READOUTS // max(1, tiles * columns))
    for start in range(0, batch, chunk):
        stop = min(batch, start + chunk)
        add(products(start, stop), scale, noise_std, y[start:stop])
    return y


def _add_tiles(sums: torch.Tensor, scale: float, noise_std: float, out: torch.Tensor) -> None:
    """Read out every tile of ``sums``, (tiles, ...), and add the readouts up into ``out``, (...)."""
    single = sums.shape[0] == 1
    readouts = out.unsqueeze(0) if single else torch.empty_like(sums, dtype=torch.float32)
    if noise_std > 0.0:
        fill_normal(readouts, 0.0, noise_std).add_(sums, alpha=scale)
    else:
        torch.mul(sums, scale, out=readouts)
    readouts.floor_().clamp_(_LOW, _HIGH)
    if not single:
        torch.sum(readouts, 0, out=out).clamp_(_LOW, _HIGH)


def _add_at_once(sums: torch.Tensor, scale: float, noise_std: float, out: torch.Tensor) -> None:
    """The same law as ``_add_tiles``: with one draw per element where no tile can reach a clamp."""
    tiles = sums.shape[0]
    limit = (_HIGH + 1 - SAFE_SIGMAS * noise_std) / scale
    clamped = None
    smallest, largest = extremes(sums)
    if largest > limit or smallest < -limit:
        clamped = ((sums.amax(0) > limit) | (sums.amin(0) < -limit)).nonzero(as_tuple=True)
        if 4 * clamped[0].numel() > out.numel():
            _add_tiles(sums, scale, noise_std, out)
            return
    std = math.sqrt(tiles * noise_std**2 + (tiles - 1) / 12)
    fill_normal(out, -(tiles - 1) / 2, std)
    out.add_(sums.sum(0, dtype=sums.dtype), alpha=scale).floor_().clamp_(_LOW, _HIGH)
    if clamped is not None:
        rows, columns = clamped
        near = out.new_empty(rows.numel())
        _add_tiles(sums[:, rows, columns], scale, noise_std, near)
        out[rows, columns] = near
