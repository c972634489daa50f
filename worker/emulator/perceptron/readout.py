"""Reading out the tiles of a product and adding the readouts up: exact, and fast where tiles agree.

Each tile of 128 rows is read out on its own: made noisy, floored, clamped to -128..127, and only
then added up. ``_add_tiles`` does just that. Noise for every tile costs more than the products themselves,
so ``_add_at_once`` draws the noise of a whole sum where no clamp can act:

Normal noise of standard deviation s >= 1 spreads the fractional part of a readout so evenly that it is
independent of everything else to within exp(-2 (pi s)**2), 3e-9 at s = 1. Then the sum of T floored readouts
is the floor of their sum less T - 1 independent uniform numbers. Those are drawn together with the noise,
as one normal number of the same mean and variance; the distribution function differs from the tile-wise
one by less than 5e-5 at s = 1 and 4e-6 at the default s = 2 (Edgeworth's next term; T = 2 is the worst).

A readout so near the end of the range that its clamp may act is *loud*; it is read out on its own and
added to the others of its sum. That is rare, so all work on whole matrices stays as it is without any.
"""

import functools
from collections.abc import Callable, Iterable

import torch

from worker.emulator.perceptron import constants
from worker.emulator.perceptron.draws import draw_sum, read_each
from worker.emulator.perceptron.extremes import extremes

Tiles = Callable[[], Iterable[torch.Tensor]]
"""Gives what the neurons hold tile by tile, each (crops, columns), contiguous and used before the next is asked
for; the first one's memory stays, and all may be changed."""

CHUNK_READOUTS = 1 << 16
"""Sums computed at a time: 256 KiB of float32, so that a tile is still in a core's cache when it is added."""

SAFE_SIGMAS = 7.0
"""A readout this many standard deviations inside the range is clamped once in 10**12 times."""

MOST_LOUD = 0.25
"""Share of loud readouts, per sum, from which on reading out every tile is faster."""

_LOW, _HIGH = constants.output_activation_min, constants.output_activation_max


def add_up(
    products: Callable[[int, int], Iterable[torch.Tensor]],
    *,
    batch: int,
    shape: tuple[int, int],
    scale: float,
    noise_std: float,
) -> torch.Tensor:
    """Noisy readouts of a whole batch, computed in chunks that fit the cache.

    Args:
        products: gives the ``Tiles`` of the crops from a start to a stop.
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
    chunk = max(1, CHUNK_READOUTS // columns)
    for start in range(0, batch, chunk):
        stop = min(batch, start + chunk)
        of_chunk = functools.partial(products, start, stop)
        if (
            tiles == 1
            or noise_std < 1.0
            or not _add_at_once(of_chunk, tiles, scale, noise_std, y[start:stop])
        ):
            _add_tiles(of_chunk, scale, noise_std, y[start:stop])
    return y


def _add_tiles(tiles: Tiles, scale: float, noise_std: float, out: torch.Tensor) -> None:
    """Read out every tile and add the readouts up into ``out``, (crops, columns)."""
    one: torch.Tensor | None = None
    for number, charges in enumerate(tiles()):
        if number == 0:
            read_each(charges, scale, noise_std, out)
            continue
        one = torch.empty_like(out) if one is None else one
        out.add_(read_each(charges, scale, noise_std, one))
    out.clamp_(_LOW, _HIGH)


def _add_at_once(tiles: Tiles, count: int, scale: float, noise_std: float, out: torch.Tensor) -> bool:
    """The same law as ``_add_tiles``, with one draw for all readouts of a sum that are not loud.

    Returns:
        False, with nothing drawn, when too many are loud for this to be fast.
    """
    limit = (_HIGH + 1 - SAFE_SIGMAS * noise_std) / scale
    total: torch.Tensor | None = None
    places, charges_there = [], []
    for charges in tiles():
        smallest, largest = extremes(charges)
        if largest > limit or smallest < -limit:
            loud = _find_beyond(limit, charges)
            places.append(loud)
            if sum(map(len, places)) > MOST_LOUD * out.numel():
                return False
            flat = charges.view(-1)
            charges_there.append(flat[loud])
            flat[loud] = 0
        total = charges if total is None else total.add_(charges)
    assert total is not None
    draw_sum(total, count, scale, noise_std, out)
    if places:
        _add_loud(torch.cat(places), torch.cat(charges_there), total, count, scale, noise_std, out)
    out.clamp_(_LOW, _HIGH)
    return True


def _find_beyond(limit: float, charges: torch.Tensor) -> torch.Tensor:
    """Where |``charges``|, (crops, columns), exceed ``limit``: positions in the flattened matrix, ascending.

    Few crops have any, and finding extremes is much faster than comparing, so those crops are found first.
    """
    crops = ((charges.amax(1) > limit) | (charges.amin(1) < -limit)).nonzero().squeeze(1)
    of_crops = charges[crops]
    rows, columns = ((of_crops > limit) | (of_crops < -limit)).nonzero(as_tuple=True)
    return crops[rows].mul_(charges.shape[1]).add_(columns)


def _add_loud(
    places: torch.Tensor,
    charges: torch.Tensor,
    total: torch.Tensor,
    count: int,
    scale: float,
    noise_std: float,
    out: torch.Tensor,
) -> None:
    """Draw the sums at ``places`` anew: the loud readouts one by one, the others of each sum at once."""
    sums, which, louds = torch.unique(places, return_inverse=True, return_counts=True)
    readouts = read_each(charges, scale, noise_std, torch.empty(len(charges)))
    quiet = torch.empty(len(sums))
    for number in louds.unique().tolist():
        chosen = louds == number
        there = total.view(-1)[sums[chosen]]
        drawn = torch.zeros(len(there))
        if number < count:
            draw_sum(there, count - number, scale, noise_std, drawn)
        quiet[chosen] = drawn
    out.view(-1)[sums] = quiet.index_add_(0, which, readouts)
