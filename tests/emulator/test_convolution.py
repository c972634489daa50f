"""Convolutions on the chip are torch's, in the chip's arithmetic."""

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


def test_as_many_kernels_as_fit_stand_side_by_side() -> None:
    layer = nn.ExpandedConv1d(4, 32, 10, stride=3, mock=True)

    assert layer.num_expansions == min(256 // 32, (128 // 4 - 10) // 3 + 1)
    assert layer(torch.zeros(2, 4, 100)).shape == (2, 32, 31)


def test_a_kernel_larger_than_the_input_is_refused() -> None:
    with pytest.raises(RuntimeError, match="larger than the input"):
        perceptron.conv1d(torch.zeros(2, 3, 4), torch.zeros(6, 3, 5), mock=True)


def test_dilation_is_refused() -> None:
    with pytest.raises(NotImplementedError):
        nn.Conv1d(3, 4, 5, dilation=2, mock=True)
