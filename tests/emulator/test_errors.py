"""Wrong use is refused with the exception class hxtorch raises."""

from collections.abc import Callable

import pytest
import torch

from hxtorch_emulator import perceptron
from tests.emulator.conftest import Recordings

X = torch.full((3, 5), 7.0)
W = torch.full((5, 2), 9.0)

CALLS: dict[str, Callable[[], object]] = {
    "weight_too_large": lambda: perceptron.matmul(X, W * 8, mock=True),
    "input_negative": lambda: perceptron.matmul(-X, W, mock=True),
    "input_too_large": lambda: perceptron.matmul(X * 5, W, mock=True),
    "weights_3d": lambda: perceptron.mac(X, W.expand(4, 5, 2), mock=True),
    "gain_zero": lambda: perceptron.set_mock_parameter(perceptron.MockParameter(gain=0.0)),
    "gain_large": lambda: perceptron.set_mock_parameter(perceptron.MockParameter(gain=1.1)),
    "no_hardware": lambda: perceptron.matmul(X, W),
    "alpha": lambda: perceptron.add(X, X, alpha=2, mock=True),
    "conv_kernel_too_big": lambda: perceptron.conv1d(X.view(1, 3, 5), torch.ones(2, 3, 7), mock=True),
    "matmul_0d": lambda: perceptron.matmul(torch.tensor(1.0), W, mock=True),
    "matmul_3d_weight": lambda: perceptron.matmul(X, W.expand(4, 5, 2), mock=True),
}


@pytest.mark.parametrize("case", CALLS)
def test_a_wrong_call_raises_the_recorded_exception(recordings: Recordings, case: str) -> None:
    expected = {"OverflowError": OverflowError, "RuntimeError": RuntimeError}[recordings.errors[case]]

    with pytest.raises(expected):
        CALLS[case]()


def test_an_overflow_names_the_range_and_what_was_observed() -> None:
    with pytest.raises(OverflowError, match=r"weights must round to -63\.\.63.* 9\.\.72"):
        perceptron.matmul(X, torch.cat([W[:1] * 8, W[1:]]), mock=True)


@pytest.mark.usefixtures("_quiet_chip")
def test_not_a_number_is_out_of_the_chip_s_range() -> None:
    with pytest.raises(OverflowError):
        perceptron.matmul(X * float("nan"), W)
    with pytest.raises(OverflowError):
        perceptron.matmul(X, W * float("nan"))


@pytest.mark.usefixtures("_quiet_chip")
def test_the_chip_shifts_to_the_right_only() -> None:
    with pytest.raises(RuntimeError, match="shift must be at least 0"):
        perceptron.converting_relu(X, shift=-1)

    assert torch.equal(perceptron.converting_relu(X, shift=-1, mock=True), X * 2)


def test_a_weight_that_rounds_into_the_range_is_accepted() -> None:
    y = perceptron.matmul(X, W * 0 + 63.49, mock=True)

    assert y.shape == (3, 2)


@pytest.mark.parametrize("operation", [perceptron.relu, perceptron.converting_relu, perceptron.argmax])
def test_a_digital_operation_without_a_chip_says_so(operation: Callable[[torch.Tensor], object]) -> None:
    with pytest.raises(RuntimeError, match=r"No connection allocated\."):
        operation(X)


@pytest.mark.usefixtures("_quiet_chip")
@pytest.mark.parametrize("mock", [True, False])
def test_weights_without_rows_are_refused(mock: bool) -> None:
    with pytest.raises(RuntimeError, match=r"at least one row, but got shape \(0, 2\)"):
        perceptron.matmul(torch.zeros(3, 0), torch.zeros(0, 2), mock=mock)


@pytest.mark.parametrize(("batch", "columns"), [(0, 2), (3, 0), (0, 0)])
def test_nothing_in_gives_nothing_out(batch: int, columns: int) -> None:
    y = perceptron.matmul(torch.zeros(batch, 300), torch.zeros(300, columns), mock=True)

    assert y.shape == (batch, columns)
