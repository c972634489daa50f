"""Execution of a multiply-accumulate: in the mock, or on the open chip."""

import torch

from hxtorch_emulator import connection
from hxtorch_emulator.perceptron import mock as mock_arithmetic
from hxtorch_emulator.perceptron.mocking import get_mock_parameter
from hxtorch_emulator.perceptron.ranges import round_inputs, round_weights


def accumulate(
    x: torch.Tensor,
    weights: torch.Tensor,
    *,
    num_sends: int,
    wait_between_events: int,
    mock: bool,
    saturate_weights: bool = False,
) -> torch.Tensor:
    """Multiply and accumulate without gradient; return the readouts.

    The arguments are those of ``biased_mac``, where ``mock`` is false for the open chip.

    Returns:
        (columns,) or (batch, columns), -128..127.
    """
    chip = None if mock else connection.open_chip()
    rounded, inputs = round_weights(weights, saturate=saturate_weights), round_inputs(x)
    batch = inputs if inputs.dim() == 2 else inputs.unsqueeze(0)
    if chip is None:
        y = mock_arithmetic.multiply(batch, rounded, num_sends=num_sends, parameter=get_mock_parameter())
    else:
        y = chip.multiply(batch, rounded, num_sends=num_sends, wait_between_events=wait_between_events)
    return y if x.dim() == 2 else y.squeeze(0)
