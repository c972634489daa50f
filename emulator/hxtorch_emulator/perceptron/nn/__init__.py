"""Layers for networks on the chip, under the names of ``hxtorch.perceptron.nn``."""

from hxtorch_emulator.perceptron.nn.convolution import Conv1d, Conv2d, ConvNd, ExpandedConv1d
from hxtorch_emulator.perceptron.nn.layer import Layer, MACLayer
from hxtorch_emulator.perceptron.nn.linear import Linear
from hxtorch_emulator.perceptron.nn.rectifier import ConvertingReLU, ReLU
from hxtorch_emulator.perceptron.nn.scaling import clamp_weight_, scale_input, scale_weight

__all__ = [
    "Conv1d",
    "Conv2d",
    "ConvNd",
    "ConvertingReLU",
    "ExpandedConv1d",
    "Layer",
    "Linear",
    "MACLayer",
    "ReLU",
    "clamp_weight_",
    "scale_input",
    "scale_weight",
]
