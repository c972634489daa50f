"""The float32 reference of a version as an ONNX graph, with its quantisation in the metadata.

It computes as layers of hxtorch do on the average, without rounding, noise and the limits of readouts; the service
evaluates the same with `execution` float32.
"""

import json
from collections.abc import Mapping
from typing import Any, Final

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper
from safetensors.numpy import load

from hxserve.errors import AnswerNotUnderstoodError

OPSET: Final = 17
_IR_VERSION: Final = 8
"""Of 2022, so that older runtimes read the file."""
_INPUT_MAX, _WEIGHT_MAX, _READOUT_MAX = 31.0, 63.0, 127.0
_FACTS: Final = ("name", "version", "weights_sha256", "gain", "noise_std", "score_scale", "execution", "chip")


def build_onnx(manifest: Mapping[str, Any], weights: bytes) -> bytes:
    """Return a version as an ONNX model: `crops` uint8 (batch, 784), 0..255, to `scores` float32 (batch, 10), LSB.

    Args:
        manifest: of the version.
        weights: its safetensors file.

    Raises:
        AnswerNotUnderstoodError: the network has a layer that this client does not know.
    """
    layers, shape = _layers_of(manifest["network"])
    graph = _Graph(load(weights), float(manifest["gain"]))
    values = graph.encode("crops", shape)
    for layer in layers:
        values = graph.add_layer(layer, values)
    graph.add("Identity", [values], output="scores")
    model = helper.make_model(
        helper.make_graph(
            graph.nodes,
            f"{manifest['name']}@{manifest['version']}",
            [helper.make_tensor_value_info("crops", TensorProto.UINT8, ["batch", 784])],
            [helper.make_tensor_value_info("scores", TensorProto.FLOAT, ["batch", 10])],
            graph.constants,
        ),
        opset_imports=[helper.make_opsetid("", OPSET)],
        ir_version=_IR_VERSION,
        producer_name="hxserve",
    )
    helper.set_model_props(model, _quantisation(manifest, graph.sends))
    onnx.checker.check_model(model, full_check=True)
    content: bytes = model.SerializeToString()
    return content


def _layers_of(network: Mapping[str, Any]) -> tuple[list[Mapping[str, Any]], list[int]]:
    """Return the layers of a network, also of one in the short form, and the shape of its input."""
    if "layers" in network:
        return network["layers"], list(network.get("input", [784]))
    layers: list[Mapping[str, Any]] = []
    for out_features, num_sends in zip(
        [*network["hidden"], network["outputs"]], network["num_sends"], strict=True
    ):
        layers += [
            {"type": "linear", "out_features": out_features, "num_sends": num_sends},
            {"type": "converting_relu", "shift": network["shift"]},
        ]
    return layers[:-1], [784]


def _quantisation(manifest: Mapping[str, Any], sends: Mapping[str, int]) -> dict[str, str]:
    """Return the metadata: everything needed to compute the network as the chip does."""
    return {
        **{f"hxserve.{name}": str(manifest[name]) for name in _FACTS},
        "hxserve.network": json.dumps(manifest["network"]),
        "hxserve.input": "0 or 31 events: a pixel above 127 is 31",
        "hxserve.input_range": "0..31, integers (5 bits)",
        "hxserve.weight_range": "-63..63, rounded to integers (6 bits and sign)",
        "hxserve.readout_range": "-128..127, integers (8 bits), saturated at each tile of 128 rows",
        "hxserve.converting_relu": "max(readout, 0) >> shift, at most 31",
        **{f"hxserve.{name}.num_sends": str(number) for name, number in sends.items()},
    }


class _Graph:
    """Nodes and constants of a graph that is being built; each layer is added behind the one before."""

    def __init__(self, weights: Mapping[str, NDArray[np.float32]], gain: float) -> None:
        self.nodes: list[onnx.NodeProto] = []
        self.constants: list[onnx.TensorProto] = []
        self.sends: dict[str, int] = {}
        self._weights = weights
        self._gain = gain
        self._counts = {"linear": 0, "conv": 0}

    def add(self, kind: str, inputs: list[str], output: str | None = None, **attributes: Any) -> str:
        """Add a node; return the name of its output."""
        name = output or f"{kind.lower()}_{len(self.nodes) + 1}"
        self.nodes.append(helper.make_node(kind, inputs, [name], name=name, **attributes))
        return name

    def encode(self, crops: str, shape: list[int]) -> str:
        """Add the encoding of crops as inputs of 0 and 31, in the shape of the network's input."""
        pixels = self.add("Cast", [crops], to=TensorProto.FLOAT)
        bright = self.add("Greater", [pixels, self._constant(np.float32(127.5))])
        events = self.add("Cast", [bright], to=TensorProto.FLOAT)
        inputs = self.add("Mul", [events, self._constant(np.float32(_INPUT_MAX))])
        return inputs if len(shape) == 1 else self._reshape(inputs, shape)

    def add_layer(self, layer: Mapping[str, Any], values: str) -> str:
        """Add a layer; return the name of its output.

        Raises:
            AnswerNotUnderstoodError: it is not known.
        """
        match layer["type"]:
            case "linear":
                added = self._add_linear(layer, values)
            case "conv1d" | "expanded_conv1d":
                added = self._add_convolution(layer, values, axes=1)
            case "conv2d":
                added = self._add_convolution(layer, values, axes=2)
            case "relu":
                added = self._clip(values, _READOUT_MAX)
            case "converting_relu":
                factor = 2.0 ** -layer["shift"]
                shifted = self.add("Mul", [values, self._constant(np.float32(factor))])
                added = self._clip(shifted, min(_INPUT_MAX, _READOUT_MAX * factor))
            case "flatten":
                added = self.add("Flatten", [values], axis=1)
            case "unflatten":
                added = self._reshape(values, layer["unflattened_size"])
            case unknown:
                raise AnswerNotUnderstoodError(
                    f"the network has a layer {unknown!r} that this client does not know; install a newer one"
                )
        return added

    def _add_linear(self, layer: Mapping[str, Any], values: str) -> str:
        parameters, factor = self._parameters_of("linear", layer)
        names = [values, *(self._constant(values, name) for name, values in parameters.items())]
        return self.add("Gemm", names, alpha=factor, transB=1)

    def _add_convolution(self, layer: Mapping[str, Any], values: str, axes: int) -> str:
        parameters, factor = self._parameters_of("conv", layer)
        (name, weight), *bias = parameters.items()
        strides, padding = (
            _along(layer.get(key, default), axes) for key, default in (("stride", 1), ("padding", 0))
        )
        convolved = self.add(
            "Conv", [values, self._constant(weight, name)], strides=strides, pads=padding * 2
        )
        readouts = self.add("Mul", [convolved, self._constant(np.float32(factor))])
        for name, column in bias:
            readouts = self.add("Add", [readouts, self._constant(column.reshape(-1, *[1] * axes), name)])
        return readouts

    def _parameters_of(
        self, kind: str, layer: Mapping[str, Any]
    ) -> tuple[dict[str, NDArray[np.float32]], float]:
        """Return weight and bias of the next layer of a kind, and the LSB per unit of input times weight."""
        self._counts[kind] += 1
        name = f"{kind}{self._counts[kind]}"
        self.sends[name] = layer["num_sends"]
        parameters = {f"{name}.weight": self._weights[f"{name}.weight"].clip(-_WEIGHT_MAX, _WEIGHT_MAX)}
        if layer.get("bias", True):
            parameters[f"{name}.bias"] = self._weights[f"{name}.bias"]
        return parameters, self._gain * layer["num_sends"]

    def _clip(self, values: str, most: float) -> str:
        return self.add("Clip", [values, *(self._constant(np.float32(limit)) for limit in (0.0, most))])

    def _reshape(self, values: str, shape: list[int]) -> str:
        return self.add("Reshape", [values, self._constant(np.array([0, *shape], np.int64))])

    def _constant(self, value: NDArray[Any] | np.generic, name: str | None = None) -> str:
        name = name or f"constant_{len(self.constants) + 1}"
        self.constants.append(numpy_helper.from_array(np.asarray(value), name))
        return name


def _along(size: int | list[int], axes: int) -> list[int]:
    """Return a size along each axis."""
    return [size] * axes if isinstance(size, int) else list(size)
