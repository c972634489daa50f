"""The names of ``hxtorch.perceptron``: matrix products and layers in the arithmetic of BrainScaleS-2."""

from hxtorch_emulator.perceptron import constants, nn
from hxtorch_emulator.perceptron.activation import argmax, converting_relu, relu
from hxtorch_emulator.perceptron.addition import add
from hxtorch_emulator.perceptron.convolution import conv1d, conv2d, expanded_conv1d
from hxtorch_emulator.perceptron.measurement import measure_mock_parameter
from hxtorch_emulator.perceptron.mocking import MockParameter, get_mock_parameter, set_mock_parameter
from hxtorch_emulator.perceptron.multiplication import mac, matmul
from hxtorch_emulator.perceptron.tracing import InferenceTracer, inference_trace

__all__ = [
    "InferenceTracer",
    "MockParameter",
    "add",
    "argmax",
    "constants",
    "conv1d",
    "conv2d",
    "converting_relu",
    "expanded_conv1d",
    "get_mock_parameter",
    "inference_trace",
    "mac",
    "matmul",
    "measure_mock_parameter",
    "nn",
    "relu",
    "set_mock_parameter",
]
