"""The emulator gives the numbers hxtorch's own mock gave."""

import math

import pytest
import torch

from hxtorch_emulator import perceptron
from tests.emulator.conftest import Recordings


def _without_noise(gain: float) -> None:
    perceptron.set_mock_parameter(perceptron.MockParameter(noise_std=0.0, gain=gain))


def test_matmul_equals_every_recorded_product_and_gradient(recordings: Recordings) -> None:
    for case in recordings.of("matmul"):
        _without_noise(case.settings["gain"])
        x = case.tensors["x"].requires_grad_()
        w = case.tensors["w"].requires_grad_()

        y = perceptron.matmul(x, w, num_sends=case.settings["num_sends"], mock=True)
        y.backward(case.tensors["grad_y"])  # type: ignore[no-untyped-call]  # torch types it so

        assert torch.equal(y, case.tensors["y"]), case.settings
        torch.testing.assert_close(x.grad, case.tensors["grad_x"], rtol=1e-5, atol=1e-4)
        torch.testing.assert_close(w.grad, case.tensors["grad_w"], rtol=1e-5, atol=1e-4)


def test_noise_has_the_recorded_mean_and_standard_deviation(recordings: Recordings) -> None:
    for case in recordings.of("matmul_noise"):
        perceptron.set_mock_parameter(
            perceptron.MockParameter(case.settings["noise_std"], case.settings["gain"])
        )
        x = case.tensors["x"].expand(case.settings["repeats"], -1)

        y = perceptron.matmul(x, case.tensors["w"], num_sends=case.settings["num_sends"], mock=True)

        torch.testing.assert_close(y.mean(0), case.tensors["mean"], rtol=0.05, atol=0.1)
        torch.testing.assert_close(y.std(0), case.tensors["std"], rtol=0.05, atol=0.1)


def test_relu_equals_every_recorded_output_and_gradient(recordings: Recordings) -> None:
    for case in recordings.of("relu"):
        x = case.tensors["x"].requires_grad_()

        y = perceptron.relu(x, mock=True)
        y.backward(case.tensors["grad_y"])  # type: ignore[no-untyped-call]  # torch types it so

        assert torch.equal(y, case.tensors["y"])
        assert x.grad is not None
        assert torch.equal(x.grad, case.tensors["grad_x"])


def test_converting_relu_equals_every_recorded_output_and_gradient(recordings: Recordings) -> None:
    for case in recordings.of("converting_relu"):
        x = case.tensors["x"].requires_grad_()

        y = perceptron.converting_relu(x, shift=case.settings["shift"], mock=True)
        y.backward(case.tensors["grad_y"])  # type: ignore[no-untyped-call]  # torch types it so

        assert torch.equal(y, case.tensors["y"])
        assert x.grad is not None
        assert torch.equal(x.grad, case.tensors["grad_x"])


def test_add_equals_every_recorded_sum(recordings: Recordings) -> None:
    for case in recordings.of("add"):
        y = perceptron.add(case.tensors["x"], case.tensors["other"], mock=True)

        assert torch.equal(y, case.tensors["y"])


def test_argmax_equals_every_recorded_position(recordings: Recordings) -> None:
    for case in recordings.of("argmax"):
        y = perceptron.argmax(
            case.tensors["x"], dim=case.settings["dim"], keepdim=case.settings["keepdim"], mock=True
        )

        assert torch.equal(y, case.tensors["y"])


def test_linear_begins_with_the_recorded_num_sends_and_spread(recordings: Recordings) -> None:
    for case in recordings.of("linear_init"):
        settings = case.settings
        perceptron.set_mock_parameter(perceptron.MockParameter(gain=settings["gain"]))

        layer = perceptron.nn.Linear(settings["in_features"], settings["out_features"], mock=True)

        assert layer.num_sends == settings["num_sends"], settings
        assert layer.weight.std().item() == pytest.approx(settings["weight_std"], rel=0.08)
        assert layer.weight.abs().max().item() <= 63
        assert layer.bias is not None
        bound = 2 * math.sqrt(2) / settings["gain"] / math.sqrt(settings["in_features"]) / (31 / math.sqrt(3))
        assert settings["bias_absmax_bound"] <= bound
        assert 0.5 * bound < layer.bias.abs().max().item() <= bound


def test_conv1d_equals_every_recorded_output(recordings: Recordings) -> None:
    _without_noise(0.002)
    for case in recordings.of("conv1d"):
        y = perceptron.conv1d(
            case.tensors["x"],
            case.tensors["w"],
            case.tensors["bias"],
            stride=case.settings["stride"],
            num_sends=case.settings["num_sends"],
            mock=True,
        )

        assert torch.equal(y, case.tensors["y"])


def test_expanded_conv1d_equals_every_recorded_output(recordings: Recordings) -> None:
    _without_noise(0.002)
    for case in recordings.of("expanded_conv1d"):
        y = perceptron.expanded_conv1d(
            case.tensors["x"],
            case.tensors["w"],
            stride=case.settings["stride"],
            num_expansions=case.settings["num_expansions"],
            num_sends=case.settings["num_sends"],
            mock=True,
        )

        assert torch.equal(y, case.tensors["y"])


def test_conv2d_equals_every_recorded_output(recordings: Recordings) -> None:
    _without_noise(0.002)
    for case in recordings.of("conv2d"):
        y = perceptron.conv2d(
            case.tensors["x"],
            case.tensors["w"],
            stride=case.settings["stride"],
            num_sends=case.settings["num_sends"],
            mock=True,
        )

        assert torch.equal(y, case.tensors["y"])
