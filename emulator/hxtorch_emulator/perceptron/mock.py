"""The arithmetic of the mock: an ideal chip with one gain and one noise."""

import torch

from hxtorch_emulator.perceptron import readout
from hxtorch_emulator.perceptron.mocking import MockParameter
from hxtorch_emulator.perceptron.products import operands, tile_products
from hxtorch_emulator.perceptron.ranges import Rounded


def multiply(inputs: Rounded, weights: Rounded, *, num_sends: int, parameter: MockParameter) -> torch.Tensor:
    """Multiply as an ideal chip does; return the readouts.

    Args:
        inputs: (batch, rows), 0..31.
        weights: (rows, columns), -63..63.
        num_sends: how often each input is sent.
        parameter: gain and noise; negative noise is as large as positive.

    Returns:
        (batch, columns), -128..127, on the device of ``inputs``; NaN where NaN went in.
    """
    x, w = operands(inputs, weights)
    return readout.add_up(
        lambda start, stop: tile_products(x[start:stop], w),
        batch=x.shape[0],
        columns=w.shape[1],
        scale=num_sends * parameter.gain,
        noise_std=abs(parameter.noise_std),
        device=x.device,
    )
