"""A change of the weights counts from the next call on, however it was made."""

from collections.abc import Callable

import pytest
import torch

import hxtorch_emulator as emulator
from hxtorch_emulator import perceptron

INPUTS = torch.ones(2, 3)


def _write_array(weights: torch.Tensor) -> None:
    weights.detach().numpy()[:] = 20.0


def _replace_data(weights: torch.Tensor) -> None:
    weights.data = torch.full(weights.shape, 20.0)


def _change_view(weights: torch.Tensor) -> None:
    weights.detach().view(-1).fill_(20.0)


CHANGES: dict[str, Callable[[torch.Tensor], object]] = {
    "in place": lambda weights: weights.detach().fill_(20.0),
    "through data": lambda weights: weights.data.fill_(20.0),
    "as new data": _replace_data,
    "through a view": _change_view,
    "through an array": _write_array,
}


@pytest.fixture(autouse=True)
def _exact() -> None:
    """One LSB for each unit of weight."""
    perceptron.set_mock_parameter(perceptron.MockParameter(noise_std=0.0, gain=1.0))


def _product(weights: torch.Tensor) -> float:
    return perceptron.matmul(INPUTS, weights, mock=True)[0, 0].item()


@pytest.mark.parametrize("inference", [False, True])
@pytest.mark.parametrize("requires_grad", [False, True])
@pytest.mark.parametrize("change", CHANGES)
def test_a_change_is_noticed(change: str, requires_grad: bool, inference: bool) -> None:
    weights = torch.full((3, 5), 2.0, requires_grad=requires_grad)
    with torch.inference_mode(inference):
        before = _product(weights)
        CHANGES[change](weights)

        assert (before, _product(weights)) == (6, 60)


@pytest.mark.parametrize("change", CHANGES)
def test_a_change_is_noticed_by_the_chip(change: str) -> None:
    emulator.init_hardware()
    inputs, weights = torch.full((50, 3), 31.0), torch.zeros(3, 5)
    perceptron.matmul(inputs, weights, num_sends=10)

    CHANGES[change](weights)

    assert perceptron.matmul(inputs, weights, num_sends=10).mean().item() > 20


@pytest.mark.parametrize("change", CHANGES)
def test_a_change_is_noticed_by_layers(change: str) -> None:
    layers: list[tuple[torch.nn.Linear | torch.nn.Conv1d, torch.Tensor]] = [
        (perceptron.nn.Linear(3, 5, bias=False, num_sends=1, mock=True), INPUTS),
        (perceptron.nn.Conv1d(1, 5, 3, bias=False, num_sends=1, mock=True), INPUTS.unsqueeze(1)),
    ]
    for layer, inputs in layers:
        layer.weight.data.fill_(2.0)
        before = layer(inputs).flatten()[0].item()
        CHANGES[change](layer.weight)

        assert (before, layer(inputs).flatten()[0].item()) == (6, 60)


def test_a_change_out_of_range_is_noticed() -> None:
    weights = torch.full((3, 5), 2.0)
    _product(weights)

    weights.data[1, 2] = 64.0

    with pytest.raises(OverflowError, match=r"weights must round to -63\.\.63"):
        _product(weights)


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
