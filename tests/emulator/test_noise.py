"""The mock's noise is normal, independent, and repeatable from torch's generator."""

import math

import pytest
import torch

from hxtorch_emulator.noise import fill_normal
from hxtorch_emulator.perceptron import mock, readout
from hxtorch_emulator.perceptron.mocking import MockParameter
from hxtorch_emulator.perceptron.ranges import Rounded


def _readouts(batch: int, rows: int, columns: int, *, weight: int = 3) -> torch.Tensor:
    inputs = torch.full((batch, rows), 7).float()
    weights = torch.full((rows, columns), weight).float()
    return _multiply(inputs, weights)


def _multiply(inputs: torch.Tensor, weights: torch.Tensor) -> torch.Tensor:
    x, w = Rounded(inputs, has_nan=False), Rounded(weights, has_nan=False)
    return mock.multiply(x, w, num_sends=1, parameter=MockParameter())


def _tile_by_tile(sums: torch.Tensor, scale: float, noise_std: float) -> torch.Tensor:
    readouts = torch.floor(sums * scale + torch.randn(sums.shape) * noise_std).clamp(-128, 127)
    return readouts.sum(0).clamp(-128, 127)


@pytest.mark.parametrize("rows", [100, 784])
def test_the_moments_of_the_noise_are_those_of_a_normal_distribution(rows: int) -> None:
    tiles = math.ceil(rows / 128)

    y = _readouts(4000, rows, 50).double()

    spread = (y - y.mean()) / y.std()
    assert y.mean().item() == pytest.approx(rows * 7 * 3 * 0.002 - tiles / 2, abs=0.1)
    assert y.var().item() == pytest.approx(tiles * (4 + 1 / 12), rel=0.02)
    assert spread.pow(3).mean().item() == pytest.approx(0, abs=0.03)
    assert spread.pow(4).mean().item() == pytest.approx(3, abs=0.06)


def test_the_tails_reach_as_far_as_those_of_a_normal_distribution() -> None:
    y = _readouts(20_000, 200, 100).double()

    spread = (y - y.mean()) / y.std()
    for sigmas in (2.0, 3.0, 4.0):
        beyond = (spread.abs() > sigmas).double().mean().item()
        assert beyond == pytest.approx(math.erfc(sigmas / math.sqrt(2)), rel=0.25)
    assert spread.abs().max() > 4.5


def _read_out(charges: torch.Tensor, noise_std: float) -> torch.Tensor:
    """Read out charges, (tiles, crops, columns), as the mock does: (crops, columns)."""
    return readout.add_up(
        lambda start, stop: charges[:, start:stop].clone().unbind(),
        batch=charges.shape[1],
        columns=charges.shape[2],
        scale=1.0,
        noise_std=noise_std,
        device=charges.device,
    )


def test_noise_is_uncorrelated_between_crops_columns_and_calls() -> None:
    first, second = _readouts(3000, 300, 40), _readouts(3000, 300, 40)

    between_columns = torch.corrcoef(first.T).fill_diagonal_(0)
    between_crops = torch.corrcoef(torch.stack([first[:-1].flatten(), first[1:].flatten()]))[0, 1]
    between_calls = torch.corrcoef(torch.stack([first.flatten(), second.flatten()]))[0, 1]

    assert between_columns.abs().max() < 0.1
    assert between_crops.abs() < 0.012
    assert between_calls.abs() < 0.012


@pytest.mark.parametrize("noise_std", [1.0, 2.0, 5.4])
@pytest.mark.parametrize("centre", [0, 50, 89])
def test_adding_tiles_at_once_has_the_law_of_adding_them_one_by_one(noise_std: float, centre: int) -> None:
    offsets = torch.tensor([0.0, 0.3, -0.4]).view(3, 1, 1)
    sums = torch.full((3, 500, 400), float(centre)) * torch.tensor([1.0, -0.5, 0.2]).view(3, 1, 1) + offsets
    at_once = _read_out(sums, noise_std)
    one_by_one = _tile_by_tile(sums, 1.0, noise_std)

    counts = [
        torch.bincount((y.flatten() + 128).long(), minlength=256).cumsum(0) for y in (at_once, one_by_one)
    ]
    distance = (counts[0] - counts[1]).abs().max().item() / at_once.numel()
    assert distance < 0.0055  # the Kolmogorov-Smirnov limit for two samples of 200,000 at p = 0.005


@pytest.mark.parametrize("tile", [0, 1, 2])
@pytest.mark.parametrize("charge", [126.0, -300.0])
def test_a_tile_that_may_be_clamped_is_read_out_beside_the_sum_of_the_others(
    tile: int, charge: float
) -> None:
    sums = torch.full((3, 500, 400), -math.copysign(40.0, charge))  # so that the sum is not clamped
    sums[tile] = charge

    mixed, one_by_one = _read_out(sums, 2.0), _tile_by_tile(sums, 1.0, 2.0)

    assert mixed.mean().item() == pytest.approx(one_by_one.mean().item(), abs=0.05)
    assert mixed.std().item() == pytest.approx(one_by_one.std().item(), abs=0.05)


def test_a_charge_that_is_no_number_stays_where_it_is() -> None:
    sums = torch.zeros(2, 5, 10)
    sums[1, 3, 7] = math.nan

    assert _read_out(sums, 2.0).isnan().nonzero().tolist() == [[3, 7]]


def test_where_readouts_are_clamped_every_tile_is_read_out() -> None:
    inputs = torch.full((500, 384), 31.0)
    weights = torch.full((384, 7), 20.0)
    weights[128:] *= -0.5  # 159 and two times -79 LSB: 127 - 79.9 - 79.9

    y = _multiply(inputs, weights)

    assert y.mean().item() == pytest.approx(127 - 2 * (128 * 31 * 10 * 0.002 + 0.5), abs=0.3)
    assert y.std().item() == pytest.approx(math.sqrt(2 * (4 + 1 / 12)), rel=0.05)


def test_sums_with_a_loud_readout_among_others_are_as_independent_as_the_rest() -> None:
    inputs = torch.full((4000, 384), 31.0)
    weights = torch.full((384, 9), 0.3).round()
    weights[:128, 4] = 15.0  # one loud column: 119 LSB in its first tile

    y = _multiply(inputs, weights)

    correlations = torch.corrcoef(y.T).fill_diagonal_(0)
    assert correlations.abs().max() < 0.08
    assert y[:, 4].var().item() == pytest.approx(3 * (4 + 1 / 12), rel=0.08)
    assert y[:, 3].var().item() == pytest.approx(3 * (4 + 1 / 12), rel=0.08)


def test_the_same_generator_state_gives_the_same_bits() -> None:
    state = torch.get_rng_state()
    first = _readouts(300, 784, 256)

    torch.set_rng_state(state)

    assert torch.equal(_readouts(300, 784, 256), first)
    assert not torch.equal(_readouts(300, 784, 256), first)


@pytest.mark.parametrize("count", [1000, 32_768, 100_003])
def test_many_numbers_have_the_normal_law_and_follow_from_the_seed(count: int) -> None:
    torch.manual_seed(3)
    drawn = torch.stack([fill_normal(torch.empty(count), 1.5, 2.0) for _ in range(-(-1_000_000 // count))])
    torch.manual_seed(3)
    again = fill_normal(torch.empty(count), 1.5, 2.0)

    probabilities = torch.special.ndtr((drawn.flatten().double() - 1.5) / 2.0).sort().values
    ranks = torch.arange(len(probabilities), dtype=torch.float64) / len(probabilities)
    assert (probabilities - ranks).abs().max().item() < 1.73 / math.sqrt(len(ranks))  # Kolmogorov, p = 0.005
    assert torch.equal(again, drawn[0])
