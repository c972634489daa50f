"""The canary sees what calibration flattens and what drift brings back."""

import math

import pytest
import torch
from torch import Tensor

from hxtorch_emulator import connection, perceptron
from hxtorch_emulator.chip import VirtualChip, calibrate
from worker.chip.canary import has_drifted, measure_deviations, score_of, spread_of


class _Recording:
    """An ideal chip that keeps what it was asked to compute."""

    def __init__(self, gain: float) -> None:
        self._gain = gain
        self.asked: list[tuple[Tensor, Tensor]] = []

    def matmul(self, inputs: Tensor, weights: Tensor, *, mock: bool) -> Tensor:
        """Products, floored as readouts are."""
        assert mock
        self.asked.append((inputs, weights))
        return (inputs @ weights * self._gain).floor()


def _measured(gain: float) -> tuple[Tensor, _Recording]:
    chip = _Recording(gain)
    return measure_deviations(chip, gain, mock=True), chip  # type: ignore[arg-type]  # matmul is all it needs


def _virtual_chip() -> VirtualChip:
    torch.manual_seed(0)
    chip = VirtualChip("hxvirtual1fpga0chip2_1", clock=lambda: 1e9)
    calibrate(chip)
    connection.choose_chip(chip)
    connection.init_hardware()
    return chip


@pytest.mark.parametrize("gain", [0.0005, 0.002, 0.006])
def test_the_batch_stays_where_neurons_are_linear(gain: float) -> None:
    _, chip = _measured(gain)

    (inputs, weights) = chip.asked[0]
    ideal = inputs @ weights * gain
    assert inputs.max() <= 31
    assert weights.abs().max() <= 63
    assert ideal.abs().max() < 80


def test_the_batch_is_always_the_same() -> None:
    (_, one), (_, other) = _measured(0.002), _measured(0.002)

    assert torch.equal(one.asked[0][0], other.asked[0][0])
    assert torch.equal(one.asked[0][1], other.asked[0][1])


def test_the_batch_reads_every_neuron_upwards_or_downwards() -> None:
    deviations, chip = _measured(0.002)

    assert deviations.shape == (8, 512)
    assert chip.asked[0][1][:, 0::2].min() > 0
    assert chip.asked[0][1][:, 1::2].max() < 0


def test_an_ideal_chip_scores_no_more_than_its_floors() -> None:
    deviations, _ = _measured(0.002)

    assert score_of(deviations) < 0.5


def test_the_score_is_the_root_of_the_mean_square() -> None:
    assert score_of(torch.tensor([[3.0, -3.0], [3.0, -3.0], [3.0, 3.0]])) == pytest.approx(3.0)


def test_the_spread_leaves_out_a_tenth_on_either_side() -> None:
    assert spread_of(torch.arange(11.0).reshape(1, 11)) == pytest.approx(8.0)


def test_a_warm_chip_scores_worse_and_a_cooled_one_as_before() -> None:
    chip = _virtual_chip()
    at_first = score_of(measure_deviations(perceptron, 0.002, mock=False))

    chip.temperature_c += 25
    warm = score_of(measure_deviations(perceptron, 0.002, mock=False))
    chip.temperature_c -= 25
    cooled = score_of(measure_deviations(perceptron, 0.002, mock=False))

    assert has_drifted(warm, 1.3 * at_first)
    assert not has_drifted(cooled, 1.3 * at_first)


@pytest.mark.parametrize(
    ("score_lsb", "drifted"),
    [(2.0, False), (3.0, False), (3.001, True), (math.inf, True), (math.nan, True)],
)
def test_a_score_beyond_the_limit_or_no_number_is_drift(score_lsb: float, drifted: bool) -> None:
    assert has_drifted(score_lsb, 3.0) is drifted
