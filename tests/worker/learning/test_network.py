import pytest
import torch

from services.networks.network import Network
from worker.learning.arithmetic import Execution, Perceptron
from worker.learning.errors import NetworkInvalidError
from worker.learning.network import build_network, encode, load_weights, resolve_spec, weights_of

CONV = Network.model_validate(
    [
        {
            "type": "conv2d",
            "out_channels": 6,
            "kernel_size": [5, 3],
            "stride": 2,
            "padding": [1, 0],
            "num_sends": 4,
        },
        {"type": "relu"},
        {"type": "converting_relu", "shift": 1},
        {"type": "flatten"},
        {"type": "unflatten", "unflattened_size": [13, 78]},
        {
            "type": "expanded_conv1d",
            "out_channels": 3,
            "kernel_size": 4,
            "stride": 2,
            "bias": False,
            "num_expansions": 6,
            "num_sends": 5,
            "wait_between_events": 7,
        },
        {"type": "converting_relu"},
        {"type": "conv1d", "out_channels": 4, "kernel_size": 5, "padding": 2, "num_sends": 6},
        {"type": "converting_relu"},
        {"type": "flatten"},
        {"type": "linear", "out_features": 10, "avg": 3, "num_sends": 2},
    ]
)
"""One of every layer."""


def test_pixels_of_128_and_more_send_31_and_the_others_nothing() -> None:
    crops = torch.zeros(3, 784, dtype=torch.uint8)
    crops[1, :5] = torch.tensor([1, 127, 128, 200, 255], dtype=torch.uint8)

    inputs = encode(crops)

    assert inputs.shape == (3, 784)
    assert inputs.dtype == torch.float32
    assert inputs[1, :6].tolist() == [0, 0, 31, 31, 31, 0]
    assert float(inputs[[0, 2]].sum()) == 0


def test_encoding_is_rounding_half_to_even_times_31() -> None:
    crops = torch.arange(256, dtype=torch.uint8).unsqueeze(0)

    inputs = encode(crops)

    assert torch.equal(inputs, (crops.to(torch.float32) / 255).round() * 31)


def test_the_default_network_sends_three_five_and_five_times(perceptron: Perceptron) -> None:
    network = build_network(Network.perceptron(), perceptron, "mock")

    spec = resolve_spec(Network.perceptron(), network)

    assert spec.num_sends == (3, 5, 5)
    assert spec.shapes == ((784,), (256,), (256,), (256,), (256,), (10,))


def test_weights_are_named_by_layer_and_within_the_chips_range(perceptron: Perceptron) -> None:
    network = build_network(Network.perceptron((20, 30)), perceptron, "mock")
    with torch.no_grad():
        network.get_parameter("linear2.weight")[0, 0] = 70.0

    weights = weights_of(network)

    shapes = {name: tuple(tensor.shape) for name, tensor in weights.items()}
    assert shapes == Network.perceptron((20, 30)).parameter_shapes
    assert float(weights["linear2.weight"][0, 0]) == 63.0


@pytest.mark.parametrize("execution", ["mock", "float32"])
def test_a_perceptron_begins_as_plain_layers_of_hxtorch(perceptron: Perceptron, execution: Execution) -> None:
    torch.manual_seed(2)
    network = build_network(Network.perceptron((40, 30), 2), perceptron, execution)
    torch.manual_seed(2)
    layers = [perceptron.nn.Linear(inputs, outputs) for inputs, outputs in ((784, 40), (40, 30), (30, 10))]

    weights = weights_of(network)

    assert [name for name, _ in network.named_children()] == [
        "linear1",
        "relu1",
        "linear2",
        "relu2",
        "linear3",
    ]
    for number, layer in enumerate(layers, start=1):
        assert torch.equal(weights[f"linear{number}.weight"], layer.weight)
        assert torch.equal(weights[f"linear{number}.bias"], layer.bias)


def test_a_convolutional_network_has_layers_of_hxtorch(perceptron: Perceptron) -> None:
    network = build_network(CONV, perceptron, "chip")

    assert [repr(layer) for layer in network] == [
        "Unflatten(dim=1, unflattened_size=(1, 28, 28))",
        "Conv2d(in_channels=1, out_channels=6, kernel_size=(5, 3), stride=(2, 2), padding=(1, 0), num_sends=4)",
        "ReLU()",
        "ConvertingReLU(shift=1)",
        "Flatten(start_dim=1, end_dim=-1)",
        "Unflatten(dim=1, unflattened_size=(13, 78))",
        (
            "ExpandedConv1d(num_expansions=6, in_channels=13, out_channels=3, kernel_size=(4,), stride=(2,), "
            "bias=False, num_sends=5, wait_between_events=7)"
        ),
        "ConvertingReLU()",
        "Conv1d(in_channels=3, out_channels=4, kernel_size=(5,), padding=(2,), num_sends=6)",
        "ConvertingReLU()",
        "Flatten(start_dim=1, end_dim=-1)",
        "Linear(in_features=152, out_features=10, num_sends=2, avg=3)",
    ]
    assert {
        name: tuple(tensor.shape) for name, tensor in weights_of(network).items()
    } == CONV.parameter_shapes
    assert resolve_spec(CONV, network) == CONV


@pytest.mark.parametrize("spec", [Network.perceptron(), CONV])
def test_the_float32_reference_computes_what_the_mock_rounds(perceptron: Perceptron, spec: Network) -> None:
    torch.manual_seed(1)
    perceptron.set_mock_parameter(perceptron.MockParameter(noise_std=0.0, gain=0.002))
    mock = build_network(spec, perceptron, "mock")
    spec = resolve_spec(spec, mock)
    smooth = build_network(spec, perceptron, "float32")
    load_weights(smooth, weights_of(mock))
    inputs = encode((torch.rand(50, 784) < 0.2).to(torch.uint8) * 255)

    with torch.inference_mode():
        rounded, reference = mock(inputs).flatten(), smooth(inputs).clamp(-128, 127).flatten()

    assert not torch.equal(rounded, reference)
    assert float(torch.corrcoef(torch.stack((rounded, reference)))[0, 1]) > 0.95


@pytest.mark.parametrize("spec", [Network.perceptron(), CONV])
def test_all_executions_start_from_the_same_weights(perceptron: Perceptron, spec: Network) -> None:
    networks = []
    for execution in ("mock", "float32", "chip"):
        torch.manual_seed(2)
        networks.append(build_network(spec, perceptron, execution))

    first, *others = (weights_of(network) for network in networks)

    for other in others:
        assert all(torch.equal(first[name], other[name]) for name in first)


def test_a_network_for_the_chip_needs_an_open_chip(perceptron: Perceptron) -> None:
    network = build_network(Network.perceptron((20,)), perceptron, "chip")

    with pytest.raises(RuntimeError, match="No connection allocated"):
        network(torch.zeros(2, 784))


def test_weights_with_other_names_are_refused(perceptron: Perceptron) -> None:
    network = build_network(Network.perceptron((20,)), perceptron, "mock")

    with pytest.raises(NetworkInvalidError, match="weights are named"):
        load_weights(network, {"linear9.weight": torch.zeros(10, 20)})


def test_weights_of_another_shape_are_refused(perceptron: Perceptron) -> None:
    network = build_network(Network.perceptron((20,)), perceptron, "mock")
    foreign = build_network(Network.perceptron((21,)), perceptron, "mock")

    with pytest.raises(
        NetworkInvalidError, match=r"linear1\.weight has shape \(21, 784\); expected \(20, 784\)"
    ):
        load_weights(network, weights_of(foreign))


@pytest.mark.parametrize("bad", [float("nan"), float("inf")])
def test_weights_that_are_no_numbers_are_refused(perceptron: Perceptron, bad: float) -> None:
    network = build_network(Network.perceptron((20,)), perceptron, "mock")
    weights = weights_of(network)
    weights["linear2.bias"][3] = bad

    with pytest.raises(NetworkInvalidError, match=r"linear2\.bias holds numbers that are not finite"):
        load_weights(network, weights)
