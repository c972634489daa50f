"""Execution of a multiply-accumulate: in the mock, or on the open chip."""

import torch

from hxtorch_emulator import connection
from hxtorch_emulator.perceptron import mock as mock_arithmetic
from hxtorch_emulator.perceptron.mocking import get_mock_parameter
from hxtorch_emulator.perceptron.ranges import CHIP, MOCK, round_inputs, round_weights


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
        (columns,) or (batch, columns), -128..127, on the device of ``x``; of the type that ``x`` and ``weights``
        promote to, float32 where that holds integers.
    """
    chip = None if mock else connection.open_chip()
    door = MOCK if chip is None else CHIP
    rounded, inputs = round_weights(weights, door, saturate=saturate_weights), round_inputs(x, door)
    if x.dim() == 1:
        inputs = inputs._replace(values=inputs.values.unsqueeze(0))
    if chip is None:
        y = mock_arithmetic.multiply(inputs, rounded, num_sends=num_sends, parameter=get_mock_parameter())
    else:
        y = chip.multiply(
            inputs.values.cpu(),
            rounded.values.cpu(),
            num_sends=num_sends,
            wait_between_events=wait_between_events,
        ).to(x.device)
    dtype = torch.promote_types(x.dtype, weights.dtype)
    y = y.to(dtype if dtype.is_floating_point else torch.float32)
    return y if x.dim() == 2 else y.squeeze(0)
