"""Weights that stay as they are are rounded once; weights that change are noticed."""

import gc

import numpy as np
import pytest
import torch

from hxtorch_emulator import perceptron
from hxtorch_emulator.perceptron.kept_weights import _kept, rounded_weights

INPUTS = torch.ones(2, 3)


@pytest.fixture(autouse=True)
def _exact() -> None:
    """One LSB for each unit of weight."""
    perceptron.set_mock_parameter(perceptron.MockParameter(noise_std=0.0, gain=1.0))


def _product(weights: torch.Tensor) -> float:
    return float(perceptron.matmul(INPUTS, weights, mock=True)[0, 0])


@pytest.mark.parametrize("inference", [False, True])
def test_a_change_in_place_is_noticed(inference: bool) -> None:
    weights = torch.full((3, 5), 2.0)
    with torch.inference_mode(inference):
        before = _product(weights)
        weights[0, 0] = 7.0
        changed = _product(weights)
        weights.mul_(2)
        doubled = _product(weights)

    assert (before, changed, doubled) == (6, 11, 22)


def test_a_change_out_of_range_is_noticed() -> None:
    weights = torch.full((3, 5), 2.0)
    _product(weights)

    weights[1, 2] = 64.0

    with pytest.raises(OverflowError, match=r"weights must round to -63\.\.63"):
        _product(weights)


def test_a_change_of_the_array_behind_a_tensor_is_noticed() -> None:
    array = np.full((3, 5), 2.0, dtype=np.float32)
    weights = torch.from_numpy(array)
    before = _product(weights)

    array[0, 0] = 7.0

    assert (before, _product(weights)) == (6, 11)


def test_a_change_of_a_parameter_behind_torchs_back_is_noticed() -> None:
    weights = torch.nn.Parameter(torch.full((3, 5), 2.0))
    with torch.no_grad():
        before = _product(weights)
        weights.data[0, 0] = 7.0

        assert (before, _product(weights)) == (6, 11)


def test_weights_made_in_inference_mode_are_rounded_anew() -> None:
    with torch.inference_mode():
        weights = torch.full((3, 5), 2.0)
        before = _product(weights)
        weights[0, 0] = 7.0

        assert (before, _product(weights)) == (6, 11)


def test_weights_that_stay_are_rounded_once() -> None:
    weights = torch.full((3, 5), 2.4)

    first = rounded_weights(weights)

    assert rounded_weights(weights) is first
    assert torch.equal(first.integers, torch.full((3, 5), 2.0))


def test_what_was_kept_goes_with_its_weights() -> None:
    gc.collect()
    before = len(_kept.entries)
    weights = torch.full((3, 5), 2.0)
    _product(weights)
    kept = len(_kept.entries)

    del weights
    gc.collect()

    assert (kept, len(_kept.entries)) == (before + 1, before)


def test_without_a_gradient_the_numbers_are_the_same() -> None:
    torch.manual_seed(1)
    inputs, weights = torch.rand(4, 3) * 31, torch.randint(-63, 64, (3, 5)).float()
    learning = weights.clone().requires_grad_()

    def run(matrix: torch.Tensor) -> torch.Tensor:
        readouts = perceptron.matmul(inputs, matrix, mock=True)
        total = perceptron.add(readouts, torch.full((5,), 3.5), mock=True)
        return perceptron.converting_relu(total, 1, mock=True) + perceptron.relu(total, mock=True)

    assert torch.equal(run(weights), run(learning).detach())
    assert run(learning).requires_grad
    assert not run(weights).requires_grad
