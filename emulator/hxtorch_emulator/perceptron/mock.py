"""The arithmetic of the mock: an ideal chip with one gain and one noise."""

import torch

from hxtorch_emulator.perceptron import constants, readout
from hxtorch_emulator.perceptron.mocking import MockParameter
from hxtorch_emulator.perceptron.products import operand, tile_products


def multiply(
    inputs: torch.Tensor, weights: torch.Tensor, *, num_sends: int, parameter: MockParameter
) -> torch.Tensor:
    """Multiply as an ideal chip does; return the readouts.

    Args:
        inputs: (batch, rows), integers 0..31.
        weights: (rows, columns), integers -63..63.
        num_sends: how often each input is sent.
        parameter: gain and noise.

    Returns:
        (batch, columns), -128..127.
    """
    x, w = operand("inputs", inputs), operand("weights", weights)
    tiles = -(-weights.shape[0] // constants.hardware_matrix_height)
    return readout.add_up(
        lambda start, stop: tile_products(x[start:stop], w),
        batch=inputs.shape[0],
        shape=(tiles, weights.shape[1]),
        scale=num_sends * parameter.gain,
        noise_std=parameter.noise_std,
    )
