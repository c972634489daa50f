"""Layers hold their weights in range, show themselves and average."""

from collections.abc import Callable

import pytest
import torch

from hxtorch_emulator.perceptron import MockParameter, add, get_mock_parameter, matmul, nn, set_mock_parameter


@pytest.mark.parametrize(
    ("layer", "shown"),
    [
        (nn.Linear(784, 256, mock=True), "Linear(in_features=784, out_features=256, num_sends=3, mock=True)"),
        (
            nn.Linear(7, 5, bias=False, num_sends=2, wait_between_events=3, avg=2),
            "Linear(in_features=7, out_features=5, bias=False, num_sends=2, wait_between_events=3, avg=2)",
        ),
        (nn.Linear(7, 5, num_sends=2, weight_transform=None).extra_repr(), None),
        (
            nn.Conv1d(3, 4, 5, stride=2, mock=True, num_sends=2),
            "Conv1d(in_channels=3, out_channels=4, kernel_size=(5,), stride=(2,), num_sends=2, mock=True)",
        ),
        (
            nn.Conv2d(3, 4, 5, padding=1, bias=False, num_sends=2),
            "Conv2d(in_channels=3, out_channels=4, kernel_size=(5, 5), padding=(1, 1), bias=False, num_sends=2)",
        ),
        (
            nn.ExpandedConv1d(3, 4, 5),
            "ExpandedConv1d(num_expansions=64, in_channels=3, out_channels=4, kernel_size=(5,), num_sends=18)",
        ),
        (nn.ReLU(), "ReLU()"),
        (nn.ConvertingReLU(shift=1, mock=True), "ConvertingReLU(shift=1, mock=True)"),
    ],
)
def test_a_layer_shows_the_arguments_that_are_not_defaults(layer: object, shown: str | None) -> None:
    if shown is None:
        assert layer == "in_features=7, out_features=5, num_sends=2, weight_transform=None"
    else:
        assert repr(layer) == shown


def test_a_network_of_the_teaching_notebook_chooses_its_num_sends() -> None:
    layers = [nn.Linear(784, 256), nn.Linear(256, 256), nn.Linear(256, 10)]

    assert [layer.num_sends for layer in layers] == [3, 5, 5]


def test_the_forward_pass_clamps_the_weights_in_place() -> None:
    layer = nn.Linear(3, 2, num_sends=1, mock=True)
    torch.nn.init.constant_(layer.weight, 80.0)

    layer(torch.zeros(4, 3))

    assert torch.equal(layer.weight, torch.full((2, 3), 63.0))


def test_averaging_columns_lowers_the_noise() -> None:
    x = torch.zeros(2000, 3)
    plain = nn.Linear(3, 2, bias=False, num_sends=1, mock=True)
    averaged = nn.Linear(3, 2, bias=False, num_sends=1, mock=True, avg=4)

    ratio = plain(x).std() / averaged(x).std()

    assert ratio.item() == pytest.approx(2, rel=0.05)


def test_an_input_transform_comes_first() -> None:
    layer = nn.Linear(3, 2, num_sends=1, mock=True, input_transform=nn.scale_input)

    y = layer(torch.full((4, 3), 500.0))

    assert y.shape == (4, 2)


def test_scaling_uses_the_whole_range() -> None:
    assert nn.scale_input(torch.tensor([0.0, 0.5, 2.0])).tolist() == [0, 7.75, 31]
    assert nn.scale_weight(torch.tensor([0.5, -1.0, 0.0])).tolist() == [31.5, -63, 0]
    assert nn.scale_input(torch.zeros(2)).tolist() == [0, 0]


@pytest.mark.parametrize(("scale", "factor"), [(nn.scale_input, 31 / 4), (nn.scale_weight, 63 / 4)])
def test_the_factor_of_a_scaling_is_a_constant_to_the_gradient(
    scale: Callable[[torch.Tensor], torch.Tensor], factor: float
) -> None:
    values = torch.tensor([0.5, 4.0, 1.0], requires_grad=True)

    scale(values).backward(torch.tensor([1.0, 2.0, 3.0]))  # type: ignore[no-untyped-call]  # torch types it so

    assert values.grad is not None
    torch.testing.assert_close(values.grad, torch.tensor([1.0, 2.0, 3.0]) * factor)


def test_setting_a_mock_parameter_changes_the_gain_of_products_and_gradients() -> None:
    set_mock_parameter(MockParameter(noise_std=0.0, gain=0.01))
    x = torch.full((2, 3), 10.0, requires_grad=True)

    y = matmul(x, torch.full((3, 4), 20.0), num_sends=2, mock=True)
    y.sum().backward()  # type: ignore[no-untyped-call]  # torch types it so

    assert torch.equal(y, torch.full((2, 4), 12.0))
    assert x.grad is not None
    torch.testing.assert_close(x.grad, torch.full((2, 3), 4 * 20 * 0.02))


def test_a_mock_parameter_in_use_is_a_copy() -> None:
    get_mock_parameter().gain = 0.5

    assert get_mock_parameter() == MockParameter(noise_std=2.0, gain=0.002)
    assert repr(MockParameter()) == "MockParameter(noise_std=2.0, gain=0.002)"


def test_the_smaller_operand_of_an_addition_is_stretched_on_either_side() -> None:
    small, large = torch.tensor([100.5, -3.0]), torch.full((4, 3, 2), 50.0)

    one, other = add(large, small, mock=True), add(small, large, mock=True)

    assert torch.equal(one, other)
    assert torch.equal(one, torch.tensor([127.0, 47.0]).expand(4, 3, 2))


def test_the_gradient_of_an_addition_is_summed_over_stretched_axes() -> None:
    small, large = torch.zeros(3, 1, requires_grad=True), torch.zeros(4, 3, 2, requires_grad=True)

    add(large, small, mock=True).sum().backward()  # type: ignore[no-untyped-call]  # torch types it so

    assert small.grad is not None
    assert large.grad is not None
    assert torch.equal(small.grad, torch.full((3, 1), 8.0))
    assert torch.equal(large.grad, torch.ones(4, 3, 2))
