"""Convolutions on the chip are torch's, in the chip's arithmetic."""

from typing import Any

import pytest
import torch

from hxtorch_emulator import perceptron
from hxtorch_emulator.perceptron import nn

pytestmark = pytest.mark.usefixtures("_noise_free")


def test_a_convolution_is_that_of_torch_scaled_and_floored() -> None:
    x = torch.randint(0, 32, (2, 3, 17)).float()
    w = torch.randint(-20, 21, (4, 3, 5)).float()

    y = perceptron.conv1d(x, w, stride=2, num_sends=3, mock=True)

    ideal = torch.nn.functional.conv1d(x, w, stride=2)
    assert torch.equal(y, (ideal * (3 * 0.002)).floor().clamp(-128, 127))


def test_the_gradient_of_a_convolution_is_that_of_torch_times_the_gain() -> None:
    x = torch.rand(2, 3, 11, 9) * 31
    w = torch.randn(4, 3, 5, 2).requires_grad_()
    twin = w.detach().clone().requires_grad_()

    perceptron.conv2d(x, w, stride=(2, 1), num_sends=5, mock=True).sum().backward()  # type: ignore[no-untyped-call]  # torch types it so
    torch.nn.functional.conv2d(x, twin, stride=(2, 1)).sum().backward()  # type: ignore[no-untyped-call]  # torch types it so

    assert w.grad is not None
    assert twin.grad is not None
    torch.testing.assert_close(w.grad, twin.grad * 0.01, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("length", [20, 21, 23, 26])
@pytest.mark.parametrize("num_expansions", [1, 2, 5])
def test_an_expanded_convolution_equals_the_plain_one(length: int, num_expansions: int) -> None:
    x = torch.randint(0, 32, (2, 3, length)).float()
    w = torch.randint(-20, 21, (4, 3, 6)).float()
    bias = torch.arange(4.0)

    plain = perceptron.conv1d(x, w, bias, stride=2, mock=True)
    expanded = perceptron.expanded_conv1d(x, w, bias, stride=2, num_expansions=num_expansions, mock=True)

    assert torch.equal(expanded, plain)


def test_a_layer_pads_as_torch_does() -> None:
    layer = nn.Conv2d(2, 5, (3, 4), stride=(1, 2), padding=(1, 0), num_sends=1, mock=True)

    y = layer(torch.zeros(3, 2, 7, 8))

    assert y.shape == (3, 5, 7, 3)


@pytest.mark.parametrize(
    ("in_channels", "out_channels", "kernel", "stride", "expected"),
    [(3, 4, 5, 1, 64), (2, 8, 64, 1, 32), (4, 2, 100, 3, 10), (1, 300, 5, 1, 1), (1, 4, 200, 1, 1)],
)
def test_as_many_kernels_of_one_channel_as_fit_stand_side_by_side(
    in_channels: int, out_channels: int, kernel: int, stride: int, expected: int
) -> None:
    layer = nn.ExpandedConv1d(in_channels, out_channels, kernel, stride=stride, mock=True)

    assert layer.num_expansions == expected
    assert layer(torch.zeros(2, in_channels, 220)).shape == (2, out_channels, (220 - kernel) // stride + 1)


def test_a_kernel_larger_than_the_input_is_refused() -> None:
    with pytest.raises(RuntimeError, match="larger than the input"):
        perceptron.conv1d(torch.zeros(2, 3, 4), torch.zeros(6, 3, 5), mock=True)


@pytest.mark.parametrize("kind", [nn.Conv1d, nn.ExpandedConv1d])
@pytest.mark.parametrize("arguments", [{"dilation": 2}, {"groups": 2}])
def test_dilation_and_groups_are_refused_when_the_layer_is_used(
    kind: type[nn.Conv1d], arguments: dict[str, Any]
) -> None:
    layer = kind(2, 4, 3, mock=True, **arguments)

    with pytest.raises(ValueError, match="without dilation and groups"):
        layer(torch.zeros(5, 2, 9))


def test_dilation_and_groups_in_two_dimensions_are_refused_likewise() -> None:
    layer = nn.Conv2d(2, 4, 3, dilation=(1, 2), mock=True)

    with pytest.raises(ValueError, match="without dilation and groups"):
        layer(torch.zeros(5, 2, 9, 8))


@pytest.mark.parametrize("bias", [None, torch.arange(4.0)])
def test_the_result_of_a_convolution_is_contiguous(bias: torch.Tensor | None) -> None:
    line, area = torch.rand(2, 3, 17), torch.rand(2, 3, 9, 8)

    results = [
        perceptron.conv1d(line, torch.ones(4, 3, 5), bias, mock=True),
        perceptron.expanded_conv1d(line, torch.ones(4, 3, 5), bias, num_expansions=3, mock=True),
        perceptron.conv2d(area, torch.ones(4, 3, 5, 2), bias, mock=True),
    ]

    assert all(result.is_contiguous() for result in results)
    assert [result.view(2, -1).shape[1] for result in results] == [4 * 13, 4 * 13, 4 * 5 * 7]


def test_the_input_is_padded_and_then_transformed() -> None:
    seen = []

    def transform(x: torch.Tensor) -> torch.Tensor:
        seen.append(x.clone())
        return x + 1

    layer = nn.Conv1d(1, 1, 3, padding=2, bias=False, num_sends=1, mock=True, input_transform=transform)
    layer.weight.data.fill_(63.0)
    y = layer(torch.full((1, 1, 4), 30.0))

    assert seen[0].tolist() == [[[0, 0, 30, 30, 30, 30, 0, 0]]]
    assert y[0, 0, 0].item() == (1 + 1 + 31) * 63 * 0.002 // 1


def test_a_layer_calls_its_operation_by_a_name_that_can_be_replaced() -> None:
    class Plain(nn.Conv1d):
        _conv = staticmethod(lambda x, weight, bias, stride, **_: torch.conv1d(x, weight, bias, stride))

    layer = Plain(3, 4, 5, stride=2, num_sends=1, mock=True)
    expanded = nn.ExpandedConv1d(3, 4, 5, num_sends=2, mock=True)
    calls: list[dict[str, object]] = []
    expanded._conv = lambda *_, **keywords: calls.append(keywords)  # type: ignore[method-assign,assignment]
    x = torch.rand(2, 3, 9)

    assert torch.equal(layer(x), torch.conv1d(x, layer.weight, layer.bias, 2))
    expanded(x)
    assert calls == [{"num_sends": 2, "wait_between_events": 5, "mock": True}]
