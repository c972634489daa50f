"""Layers for networks on the chip, under the names of ``hxtorch.perceptron.nn``."""

from worker.emulator.perceptron.nn.layer import Layer, MACLayer
from worker.emulator.perceptron.nn.linear import Linear
from worker.emulator.perceptron.nn.rectifier import ConvertingReLU, ReLU
from worker.emulator.perceptron.nn.scaling import clamp_weight_, scale_input, scale_weight

__all__ = [
    "ConvertingReLU",
    "Layer",
    "Linear",
    "MACLayer",
    "ReLU",
    "clamp_weight_",
    "scale_input",
    "scale_weight",
]
