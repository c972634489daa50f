"""Layers for networks on the chip, under the names of ``hxtorch.perceptron.nn``."""

from worker.emulator.perceptron.nn.convolution import Conv1d, Conv2d, ConvNd, ExpandedConv1d
from worker.emulator.perceptron.nn.layer import Layer, MACLayer
from worker.emulator.perceptron.nn.linear import Linear
from worker.emulator.perceptron.nn.rectifier import ConvertingReLU, ReLU
from worker.emulator.perceptron.nn.scaling import clamp_weight_, scale_input, scale_weight

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
