"""Networks as data: the shapes that come out, the forms they are written in, and the errors of those that cannot be."""

from typing import Any

import pytest
from pydantic import ValidationError

from services.networks.layers import Linear, Product
from services.networks.network import Network

CONV: list[dict[str, Any]] = [
    {"type": "conv2d", "out_channels": 6, "kernel_size": [5, 3], "stride": 2, "padding": [1, 0]},
    {"type": "converting_relu", "shift": 1},
    {"type": "flatten"},
    {"type": "linear", "out_features": 20, "avg": 3, "bias": False},
    {"type": "converting_relu"},
    {"type": "linear", "out_features": 10},
]
RELU = {"type": "converting_relu"}
SCORES = {"type": "linear", "out_features": 10}


def test_a_perceptron_is_784_inputs_hidden_layers_and_ten_outputs() -> None:
    network = Network.perceptron((20, 30))

    assert network.names == ("linear1", "relu1", "linear2", "relu2", "linear3")
    assert network.parameter_shapes == {
        "linear1.weight": (20, 784),
        "linear1.bias": (20,),
        "linear2.weight": (30, 20),
        "linear2.bias": (30,),
        "linear3.weight": (10, 30),
        "linear3.bias": (10,),
    }


def test_the_shapes_of_a_convolutional_network_follow_from_its_layers() -> None:
    network = Network.model_validate(CONV)

    assert network.input == (1, 28, 28)
    assert network.shapes == ((1, 28, 28), (6, 13, 13), (6, 13, 13), (1014,), (20,), (20,), (10,))
    assert network.names == ("conv1", "relu1", "flatten1", "linear1", "relu2", "linear2")
    assert network.parameter_shapes == {
        "conv1.weight": (6, 1, 5, 3),
        "conv1.bias": (6,),
        "linear1.weight": (20, 1014),
        "linear2.weight": (10, 20),
        "linear2.bias": (10,),
    }
    assert network.products == (Product(15, 6, 169), Product(1014, 60, 1), Product(20, 10, 1))


def test_one_dimensional_convolutions_read_rows_of_pixels() -> None:
    network = Network.model_validate(
        [
            {"type": "unflatten", "unflattened_size": [4, 196]},
            {"type": "conv1d", "out_channels": 5, "kernel_size": 6, "stride": 3},
            RELU,
            {"type": "expanded_conv1d", "out_channels": 8, "kernel_size": 7},
            RELU,
            {"type": "flatten"},
            SCORES,
        ]
    )

    assert network.input == (784,)
    assert network.shapes[1:5] == ((4, 196), (5, 64), (5, 64), (8, 58))
    assert network.parameter_shapes["conv2.weight"] == (8, 5, 7)
    # 32 copies of a kernel of 7 side by side, 5 channels
    assert network.products[1] == Product(5 * 38, 8 * 32, 2)


@pytest.mark.parametrize(
    ("rows", "columns", "runs"), [(128, 512, 1), (129, 257, 2), (784, 256, 4), (25, 8, 1)]
)
def test_two_tiles_of_128_by_256_run_at_a_time(rows: int, columns: int, runs: int) -> None:
    assert Product(rows, columns, 7).executions == 7 * runs


@pytest.mark.parametrize(
    ("given", "written"),
    [
        (
            {"hidden": [7, 5]},
            {"inputs": 784, "hidden": [7, 5], "outputs": 10, "shift": 1, "num_sends": None},
        ),
        (
            [{"type": "linear", "out_features": 7, "num_sends": 2}, RELU, SCORES | {"num_sends": 3}],
            {"inputs": 784, "hidden": [7], "outputs": 10, "shift": 2, "num_sends": [2, 3]},
        ),
    ],
)
def test_what_the_short_form_can_express_is_written_in_it(given: Any, written: dict[str, Any]) -> None:
    network = Network.model_validate(given)

    assert network.model_dump(mode="json") == written
    assert Network.model_validate(written) == network


@pytest.mark.parametrize(
    "given",
    [
        CONV,
        [SCORES],
        [{"type": "linear", "out_features": 7, "avg": 2}, RELU, SCORES],
        [{"type": "linear", "out_features": 7}, {"type": "relu"}, RELU, SCORES],
        {"layers": [{"type": "flatten"}, SCORES], "input": [1, 28, 28]},
    ],
)
def test_other_networks_are_written_as_layers_and_come_back(given: Any) -> None:
    network = Network.model_validate(given)

    written = network.model_dump(mode="json")

    assert set(written) == {"layers", "input"}
    assert Network.model_validate(written) == network
    assert Network.model_validate_json(network.model_dump_json()) == network


def test_the_numbers_of_sends_are_filled_in_where_layers_multiply() -> None:
    network = Network.model_validate(CONV)

    stated = network.with_num_sends([4, 5, 6])

    assert network.num_sends is None
    assert stated.num_sends == (4, 5, 6)
    assert isinstance(stated.layers[3], Linear)
    assert stated.layers[3].num_sends == 5
    assert network.with_num_sends([4, 5, 6]) == stated


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"hidden": [0]}, r"hidden\.0\n.*greater than or equal to 1"),
        ({"hidden": [1025]}, r"hidden\.0\n.*less than or equal to 1024"),
        ({"hidden": [8] * 5}, r"hidden\n.*at most 4 items"),
        ({"shift": 8}, r"shift\n"),
        ({"num_sends": [3, 5]}, r"num_sends has 2 numbers; give one per layer, 3"),
        ({"num_sends": [3, 5, 0]}, r"num_sends\.2\n"),
        ({"inputs": 785}, r"inputs\n"),
        ({"hidden": [8], "layers": [SCORES]}, r"hidden\n.*not permitted"),
        ([], r"expected ten scores, of shape \(10,\), got \(784,\)"),
        ([SCORES, {"type": "flatten"}] + [RELU] * 31, r"layers\n.*at most 32 items"),
        ([{"type": "linear", "out_features": 11}], r"expected ten scores, of shape \(10,\), got \(11,\)"),
        ([{"out_features": 10}], r"layers\.0\n.*Unable to extract tag"),
        ([{"type": "linear", "out_features": "10"}], r"layers\.0\.linear\.out_features\n.*valid integer"),
        ([{"type": "conv2d", "out_channels": 4, "kernel_size": [3]}], r"layers\.0\.conv2d\.kernel_size"),
        ({"layers": [SCORES], "input": [28, 28]}, r"input\n.*expected \[784\] or \[1, 28, 28\]"),
        (
            {"layers": [SCORES], "input": [1, 28, 28]},
            r"layers\.0 \(linear\): expected inputs of shape \(inputs,\)",
        ),
        (
            [{"type": "conv2d", "out_channels": 4, "kernel_size": 3}, RELU, SCORES],
            r"layers\.2 \(linear\): expected inputs of shape \(inputs,\), got \(4, 26, 26\); put flatten before it",
        ),
        (
            [{"type": "conv1d", "out_channels": 4, "kernel_size": 3}],
            r"layers\.0 \(conv1d\): expected inputs of shape \(channels, length\), got \(784,\)",
        ),
        (
            [{"type": "conv2d", "out_channels": 4, "kernel_size": 29}, RELU, {"type": "flatten"}, SCORES],
            r"layers\.0 \(conv2d\): expected a kernel of at most 28, got 29",
        ),
        (
            [{"type": "unflatten", "unflattened_size": [28, 27]}, {"type": "flatten"}, SCORES],
            r"layers\.0 \(unflatten\): unflattened_size \(28, 27\) does not hold 784 values",
        ),
        (
            [{"type": "linear", "out_features": 20}, SCORES],
            r"layers\.1 \(linear\): expected inputs of 0\.\.31, got readouts; put converting_relu before it",
        ),
        (
            [{"type": "linear", "out_features": 20}, {"type": "relu"}, SCORES],
            r"layers\.2 \(linear\): expected inputs of 0\.\.31",
        ),
        (
            [{"type": "linear", "out_features": 1024}, RELU] * 5 + [SCORES],
            r"expected at most 4194304 weights, got 5007360; make layers smaller",
        ),
        (
            [
                {"type": "conv2d", "out_channels": 600, "kernel_size": 1, "stride": 1},
                RELU,
                {"type": "conv2d", "out_channels": 600, "kernel_size": 1, "stride": 28},
                RELU,
                {"type": "conv2d", "out_channels": 8, "kernel_size": 1, "padding": 24},
                RELU,
                {"type": "conv2d", "out_channels": 10, "kernel_size": 49},
                {"type": "flatten"},
            ],
            r"expected at most 4096 runs of the chip for a crop, got",
        ),
        (
            [
                {"type": "conv2d", "out_channels": 32, "kernel_size": 5},
                RELU,
                {"type": "conv2d", "out_channels": 8, "kernel_size": 5, "stride": 2},
                RELU,
                {"type": "conv2d", "out_channels": 8, "kernel_size": 5, "padding": 12},
                RELU,
                {"type": "flatten"},
                SCORES,
            ],
            r"expected at most 131072 values in the windows of a crop, got",
        ),
        (
            [
                {"type": "conv2d", "out_channels": 1024, "kernel_size": 1},
                RELU,
                {"type": "conv2d", "out_channels": 10, "kernel_size": 1, "stride": 28},
                {"type": "flatten"},
            ],
            r"expected at most 65536 values behind a layer, got 802816; make layers smaller",
        ),
    ],
)
def test_a_network_that_cannot_be_is_refused_with_the_place(given: Any, said: str) -> None:
    with pytest.raises(ValidationError, match=said):
        Network.model_validate(given)
