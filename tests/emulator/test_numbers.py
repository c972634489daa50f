"""Types, devices, and what is no number."""

import math
from collections.abc import Callable

import pytest
import torch

import hxtorch_emulator as emulator
from hxtorch_emulator import perceptron
from hxtorch_emulator.chip import VirtualChip
from hxtorch_emulator.perceptron import nn

NAN = math.nan

DIGITAL: dict[str, Callable[[torch.Tensor, bool], torch.Tensor]] = {
    "relu": lambda x, mock: perceptron.relu(x, mock=mock),
    "converting_relu": lambda x, mock: perceptron.converting_relu(x, mock=mock),
    "add": lambda x, mock: perceptron.add(x, x, mock=mock),
}


@pytest.mark.parametrize("operation", DIGITAL)
@pytest.mark.parametrize("mock", [True, False])
@pytest.mark.parametrize("dtype", [torch.int64, torch.uint8, torch.float32])
def test_digital_operations_give_float32_of_integers(operation: str, mock: bool, dtype: torch.dtype) -> None:
    emulator.init_hardware()

    y = DIGITAL[operation](torch.tensor([[4, 9, 100]], dtype=dtype), mock)

    assert y.dtype == torch.float32
    assert torch.equal(y, DIGITAL[operation](torch.tensor([[4.0, 9.0, 100.0]]), mock))


@pytest.mark.parametrize("operation", DIGITAL)
def test_digital_operations_keep_float64(operation: str) -> None:
    x = torch.tensor([4.2, 9.0], dtype=torch.float64, requires_grad=True)

    y = DIGITAL[operation](x, True)
    y.sum().backward()  # type: ignore[no-untyped-call]  # torch types it so

    assert y.dtype == torch.float64
    assert x.grad is not None
    assert x.grad.dtype == torch.float64


@pytest.mark.parametrize("mock", [True, False])
def test_layers_of_float64_give_and_learn_float64(mock: bool) -> None:
    emulator.init_hardware()
    layers = [
        (nn.Linear(6, 4, mock=mock), (3, 6)),
        (nn.Linear(6, 4, avg=2, bias=False, mock=mock), (2, 3, 6)),
        (nn.Conv1d(2, 4, 3, mock=mock), (3, 2, 7)),
        (nn.Conv2d(2, 4, 3, mock=mock), (3, 2, 7, 5)),
        (nn.ExpandedConv1d(2, 4, 3, mock=mock), (3, 2, 7)),
    ]
    for layer, shape in layers:
        assert isinstance(layer, torch.nn.Module)
        layer.double()
        y = layer(torch.rand(shape, dtype=torch.float64))
        y.sum().backward()

        assert y.dtype == torch.float64
        assert {parameter.grad.dtype for parameter in layer.parameters() if parameter.grad is not None} == {
            torch.float64
        }


@pytest.mark.parametrize("mock", [True, False])
def test_products_of_integers_are_float32(mock: bool) -> None:
    emulator.init_hardware()

    y = perceptron.matmul(torch.ones(2, 3, dtype=torch.int64), torch.ones(3, 4, dtype=torch.int8), mock=mock)

    assert y.dtype == torch.float32


def test_what_is_no_number_passes_through_the_mock() -> None:
    x, w = torch.full((2, 3), 5.0), torch.full((3, 4), 7.0)
    x[1, 0], w[2, 3] = NAN, NAN

    y = perceptron.matmul(x, w, mock=True)

    assert y.isnan().tolist() == [[False, False, False, True], [True, True, True, True]]
    assert perceptron.matmul(torch.full((2, 300), NAN), torch.ones(300, 4), mock=True).isnan().all()
    for operation in DIGITAL.values():
        assert operation(torch.tensor([3.0, NAN]), True).isnan().tolist() == [False, True]


def test_what_is_no_number_passes_through_layers() -> None:
    layer = nn.Linear(5, 2, mock=True)
    layer.weight.data[0, 1], layer.weight.data[1, 1] = NAN, 100.0

    y = layer(torch.ones(3, 5))

    assert y.isnan().tolist() == [[True, False]] * 3
    assert layer.weight[1, 1] == 63


@pytest.mark.parametrize("operation", ["relu", "converting_relu"])
def test_a_rectifier_has_no_gradient_where_there_is_no_number(operation: str) -> None:
    x = torch.tensor([NAN, 8.0, 0.0, -3.0], requires_grad=True)

    DIGITAL[operation](x, True).backward(torch.ones(4))  # type: ignore[no-untyped-call]  # torch types it so

    assert x.grad is not None
    assert (x.grad != 0).tolist() == [False, True, False, False]


@pytest.mark.parametrize("noise_std", [-2.0, 2.0])
def test_noise_of_either_sign_is_as_large(noise_std: float) -> None:
    perceptron.set_mock_parameter(perceptron.MockParameter(noise_std=noise_std))

    y = perceptron.matmul(torch.zeros(500, 300), torch.zeros(300, 7), mock=True)

    assert y.std().item() == pytest.approx(math.sqrt(3 * (4 + 1 / 12)), rel=0.05)


@pytest.mark.parametrize("mock", [True, False])
def test_everything_is_computed_where_its_inputs_are(mock: bool) -> None:
    """Tensors that were made without a device would be on that of `torch.device`, and fit no others."""
    emulator.init_hardware()
    line, area = torch.full((300, 2, 9), 4.0), torch.full((30, 2, 9, 8), 4.0)
    inputs, weights = torch.full((300, 300), 4.0), torch.full((300, 70), 0.4, requires_grad=True)
    layers: list[torch.nn.Module] = [
        nn.Linear(300, 7, avg=2, mock=mock),
        nn.Linear(300, 7, mock=mock),
        nn.ReLU(mock=mock),
    ]

    with torch.device("meta"):
        results = [
            perceptron.matmul(inputs, weights, mock=mock),
            *[layer(inputs) for layer in layers],
            *[operation(inputs, mock) for operation in DIGITAL.values()],
            perceptron.argmax(inputs, dim=1, mock=mock),
            perceptron.conv1d(line, torch.ones(5, 2, 3, device="cpu"), mock=mock),
            perceptron.conv2d(area, torch.ones(5, 2, 3, 4, device="cpu"), mock=mock),
            perceptron.expanded_conv1d(line, torch.ones(5, 2, 3, device="cpu"), num_expansions=3, mock=mock),
        ]
        results[0].sum().backward()

    assert {result.device.type for result in results} == {"cpu"}


def test_a_chip_is_made_and_calibrated_whatever_the_default_device_is() -> None:
    with torch.device("meta"):
        emulator.connection.choose_chip(VirtualChip("elsewhere"))
        emulator.init_hardware()

    y = perceptron.matmul(torch.ones(2, 3), torch.ones(3, 4))

    assert y.shape == (2, 4)
