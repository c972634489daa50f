from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

import hxtorch_emulator
from hxtorch_emulator import connection
from hxtorch_emulator.chip import ChipParameters, VirtualChip
from services.networks.network import Network
from worker.learning import inference
from worker.learning.arithmetic import Perceptron
from worker.learning.errors import NetworkInvalidError
from worker.learning.inference import Classifier
from worker.learning.network import build_network, encode, resolve_spec, weights_of


@pytest.fixture
def network(perceptron: Perceptron) -> torch.nn.Sequential:
    torch.manual_seed(1)
    return build_network(Network.perceptron((40, 30)), perceptron, "mock")


@pytest.fixture
def exact_chip() -> Iterator[None]:
    """An open chip without noise whose clock stands still: it reads the same twice."""
    former = connection.chosen_chip()
    connection.choose_chip(VirtualChip("a", ChipParameters(noise_std_lsb=0.0), clock=lambda: 1e9))
    hxtorch_emulator.init_hardware_minimal()
    yield
    hxtorch_emulator.release_hardware()
    connection.choose_chip(former)


@pytest.fixture
def classifier(network: torch.nn.Sequential, perceptron: Perceptron) -> Classifier:
    spec = resolve_spec(Network.perceptron((40, 30)), network)
    return Classifier(spec, weights_of(network), perceptron)


def some_crops(count: int) -> NDArray[np.uint8]:
    return np.random.default_rng(2).integers(0, 160, size=(count, 784), dtype=np.uint8)


@pytest.mark.parametrize("count", [0, 1, 5, 300])
def test_without_noise_the_scores_are_the_networks(
    classifier: Classifier, network: torch.nn.Sequential, perceptron: Perceptron, count: int
) -> None:
    perceptron.set_mock_parameter(perceptron.MockParameter(noise_std=0.0, gain=0.002))
    crops = some_crops(count)

    scores = classifier.scores(crops)

    assert scores.shape == (count, 10)
    assert scores.dtype == np.int8
    assert np.array_equal(scores, network(encode(torch.from_numpy(crops))).detach().numpy())


SCORES = {"type": "flatten"}, {"type": "linear", "out_features": 10, "num_sends": 2}
CONV = {"type": "conv2d", "out_channels": 3, "kernel_size": [5, 4], "stride": 4, "num_sends": 9}


@pytest.mark.parametrize(
    "layers",
    [
        [CONV, {"type": "relu"}, {"type": "converting_relu", "shift": 1}, *SCORES],
        [CONV, {"type": "converting_relu"}, *SCORES, {"type": "relu"}],
        [
            {"type": "unflatten", "unflattened_size": [4, 196]},
            {"type": "expanded_conv1d", "out_channels": 3, "kernel_size": 30, "stride": 3, "num_sends": 4},
            {"type": "converting_relu", "shift": 3},
            *SCORES,
        ],
        [{"type": "linear", "out_features": 10, "avg": 3, "num_sends": 3, "bias": False}],
        [{"type": "conv2d", "out_channels": 10, "kernel_size": 28, "num_sends": 20}, {"type": "flatten"}],
    ],
)
@pytest.mark.parametrize("mock", [True, False])
@pytest.mark.usefixtures("exact_chip")
def test_the_scores_of_any_network_are_those_of_its_layers(
    layers: list[dict[str, Any]], mock: bool, perceptron: Perceptron, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(inference, "_MOST_WINDOW_VALUES", 8000)
    spec = Network.model_validate(layers)
    torch.manual_seed(1)
    network = build_network(spec, perceptron, "mock" if mock else "chip")
    with torch.no_grad():
        for name, parameter in network.named_parameters():
            parameter.copy_((parameter * 4).round() / 2 if name.endswith("weight") else parameter)
    perceptron.set_mock_parameter(perceptron.MockParameter(noise_std=0.0, gain=0.002))
    crops = some_crops(50)

    scores = Classifier(resolve_spec(spec, network), weights_of(network), perceptron, mock=mock).scores(crops)

    expected = network(encode(torch.from_numpy(crops))).detach()

    assert np.array_equal(scores, expected.floor().clamp(-128, 127).numpy())
    assert len(np.unique(scores)) > 10


def test_with_noise_the_scores_are_distributed_as_the_networks(
    classifier: Classifier, network: torch.nn.Sequential
) -> None:
    torch.manual_seed(3)
    repeats = 3000
    crop = some_crops(1)
    many = torch.from_numpy(crop).expand(repeats, 784)

    scores = classifier.scores(np.repeat(crop, repeats, axis=0)).astype(np.float64)

    with torch.inference_mode():
        expected = network(encode(many)).numpy()
    np.testing.assert_allclose(scores.mean(0), expected.mean(0), atol=0.5)
    np.testing.assert_allclose(scores.std(0), expected.std(0), rtol=0.1, atol=0.1)


def test_the_mean_of_several_readings_has_less_noise(classifier: Classifier) -> None:
    torch.manual_seed(3)
    crops = np.repeat(some_crops(1), 1000, axis=0)

    once, often = classifier.scores(crops), classifier.mean_scores(crops, repeats=9)

    assert often.shape == (1000, 10)
    assert often.dtype == np.float32
    np.testing.assert_allclose(often.mean(0), once.mean(0), atol=0.8)
    np.testing.assert_allclose(often.std(0), once.std(0) / 3, rtol=0.15)


def test_readings_of_different_crops_are_not_mixed(classifier: Classifier, perceptron: Perceptron) -> None:
    perceptron.set_mock_parameter(perceptron.MockParameter(noise_std=0.0, gain=0.002))
    crops = some_crops(5)

    assert np.array_equal(classifier.mean_scores(crops, repeats=3), classifier.scores(crops))


def test_crops_are_read_at_least_once(classifier: Classifier) -> None:
    with pytest.raises(ValueError, match="at least once"):
        classifier.mean_scores(some_crops(2), repeats=0)


def test_the_weights_handed_in_stay_as_they_are(network: torch.nn.Sequential, perceptron: Perceptron) -> None:
    weights = weights_of(network)
    before = {name: tensor.clone() for name, tensor in weights.items()}

    Classifier(resolve_spec(Network.perceptron((40, 30)), network), weights, perceptron).scores(some_crops(3))

    assert all(torch.equal(weights[name], before[name]) for name in before)


def test_an_open_number_of_sends_is_refused(network: torch.nn.Sequential, perceptron: Perceptron) -> None:
    with pytest.raises(NetworkInvalidError, match="leaves num_sends open"):
        Classifier(Network.perceptron((40, 30)), weights_of(network), perceptron)


@pytest.mark.parametrize(
    "crops",
    [
        np.zeros((2, 783), np.uint8),
        np.zeros((2, 28, 28), np.uint8),
        np.zeros((2, 784), np.float32),
    ],
)
def test_crops_of_another_form_are_refused(classifier: Classifier, crops: NDArray[np.uint8]) -> None:
    with pytest.raises(ValueError, match=r"expected \(batch, 784\) uint8"):
        classifier.scores(crops)


def test_the_chip_is_used_when_mock_is_off(network: torch.nn.Sequential, perceptron: Perceptron) -> None:
    spec = resolve_spec(Network.perceptron((40, 30)), network)
    classifier = Classifier(spec, weights_of(network), perceptron, mock=False)

    with pytest.raises(RuntimeError, match="No connection allocated"):
        classifier.scores(some_crops(2))
