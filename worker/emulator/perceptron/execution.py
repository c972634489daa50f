"""What a multiply-accumulate computes: in the mock, or on the chip that is open."""

import torch

from worker.emulator import connection
from worker.emulator.noise import fill_normal
from worker.emulator.perceptron import constants
from worker.emulator.perceptron.mocking import get_mock_parameter
from worker.emulator.perceptron.ranges import round_inputs, round_weights

_CHUNK_READOUTS = 1 << 19
"""Readouts computed at a time: 2 MiB of float32, which stays in a core's cache."""


def accumulate(
    x: torch.Tensor, weights: torch.Tensor, *, num_sends: int, wait_between_events: int, mock: bool
) -> torch.Tensor:
    """Readouts of one multiply-accumulate, without gradient.

    Args:
        x: (rows,) or (batch, rows), rounding to 0..31.
        weights: (rows, columns), rounding to -63..63.
        num_sends: how often each input is sent.
        wait_between_events: FPGA cycles between two events; the mock ignores it.
        mock: compute in the mock instead of on the open chip.

    Returns:
        (columns,) or (batch, columns), -128..127.
    """
    if not mock:
        connection.open_chip()
    del wait_between_events
    rounded_weights, inputs = round_weights(weights), round_inputs(x)
    batch = inputs.reshape(-1, inputs.shape[-1])
    y = _mock(batch, rounded_weights, num_sends)
    return y.reshape(x.shape[:-1] + weights.shape[1:])


def _mock(inputs: torch.Tensor, weights: torch.Tensor, num_sends: int) -> torch.Tensor:
    """Ideal readouts of (batch, rows) inputs and (rows, columns) weights, both rounded.

    Tiles are computed side by side, in chunks of the batch that fit the cache.
    """
    batch, columns = inputs.shape[0], weights.shape[1]
    tiles = -(-weights.shape[0] // constants.hardware_matrix_height)
    y = inputs.new_empty(batch, columns)
    chunk = max(1, _CHUNK_READOUTS // max(1, tiles * columns))
    for start in range(0, batch, chunk):
        part = inputs[start : start + chunk]
        _mock_chunk(part, weights, num_sends, y[start : start + chunk])
    return y


def _mock_chunk(inputs: torch.Tensor, weights: torch.Tensor, num_sends: int, out: torch.Tensor) -> None:
    """Write the readouts of one chunk to ``out``, (batch, columns)."""
    parameter = get_mock_parameter()
    height = constants.hardware_matrix_height
    rows = weights.shape[0]
    full = rows // height
    tiles = inputs.new_empty(-(-rows // height), inputs.shape[0], weights.shape[1])
    noisy = parameter.noise_std > 0.0
    scale = num_sends * parameter.gain
    if noisy:
        fill_normal(tiles, parameter.noise_std)
    beta, alpha = (1.0, scale) if noisy else (0.0, 1.0)
    if full:
        x_tiles = inputs[:, : full * height].view(inputs.shape[0], full, height).transpose(0, 1)
        w_tiles = weights[: full * height].view(full, height, weights.shape[1])
        tiles[:full].baddbmm_(x_tiles, w_tiles, beta=beta, alpha=alpha)
    if rows % height:
        tiles[full].addmm_(inputs[:, full * height :], weights[full * height :], beta=beta, alpha=alpha)
    if not noisy:
        tiles.mul_(scale)
    low, high = constants.output_activation_min, constants.output_activation_max
    tiles.floor_().clamp_(low, high)
    torch.sum(tiles, 0, out=out).clamp_(low, high)
