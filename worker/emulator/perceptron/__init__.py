"""The names of ``hxtorch.perceptron``: matrix products and layers in the arithmetic of BrainScaleS-2."""

from worker.emulator.perceptron import constants, nn
from worker.emulator.perceptron.activation import argmax, converting_relu, relu
from worker.emulator.perceptron.addition import add
from worker.emulator.perceptron.mocking import MockParameter, get_mock_parameter, set_mock_parameter
from worker.emulator.perceptron.multiplication import mac, matmul

__all__ = [
    "MockParameter",
    "add",
    "argmax",
    "constants",
    "converting_relu",
    "get_mock_parameter",
    "mac",
    "matmul",
    "nn",
    "relu",
    "set_mock_parameter",
]
