"""Rectifying layers."""

import torch

from hxtorch_emulator.perceptron.activation import converting_relu, relu
from hxtorch_emulator.perceptron.nn.layer import Layer


class ReLU(Layer, torch.nn.ReLU):
    """A layer of ``relu``."""

    def __init__(self, mock: bool = False) -> None:
        torch.nn.ReLU.__init__(self)
        Layer.__init__(self, mock=mock)

    def forward(self, input: torch.Tensor) -> torch.Tensor:  # noqa: A002 - torch's keyword
        """Map readouts of any shape to 0..127 of the same."""
        return relu(input, mock=self.mock)


class ConvertingReLU(ReLU):
    """A layer of ``converting_relu``."""

    def __init__(self, shift: int = 2, mock: bool = False) -> None:
        super().__init__(mock=mock)
        self.shift = shift

    def forward(self, input: torch.Tensor) -> torch.Tensor:  # noqa: A002 - torch's keyword
        """Map readouts of any shape to 0..31 of the same."""
        return converting_relu(input, shift=self.shift, mock=self.mock)
