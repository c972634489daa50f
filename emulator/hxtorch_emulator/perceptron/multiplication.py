"""Multiply-accumulate: ``mac`` and the ``torch.matmul``-like ``matmul`` around it."""

import torch

from hxtorch_emulator.builtin import Builtin
from hxtorch_emulator.perceptron.biased_mac import biased_mac
from hxtorch_emulator.perceptron.constants import defaults
from hxtorch_emulator.perceptron.tracing import traced


@Builtin
@traced("mac")
def mac(
    x: torch.Tensor,
    weights: torch.Tensor,
    num_sends: int = 1,
    wait_between_events: int = defaults.wait_between_events,
    mock: bool = False,
    madc_recording_neuron_id: int = 0,  # noqa: ARG001 - hxtorch's signature; the emulator has no MADC
    madc_recording_path: str = "",
) -> torch.Tensor:
    """Multiply and accumulate on the chip, or in its mock.

    Args:
        x: input activations, (rows,) or (batch, rows), rounding to 0..31.
        weights: synaptic weights, (rows, columns), rounding to -63..63.
        num_sends: how often each input is sent.
        wait_between_events: FPGA cycles of 8 ns between two events.
        mock: compute an ideal chip with the current mock parameter instead of the open one.
        madc_recording_neuron_id: accepted for hxtorch's sake.
        madc_recording_path: must stay empty: there is no MADC to record.

    Returns:
        Readouts in LSB, (columns,) or (batch, columns), -128..127, float32 holding integers.

    Raises:
        OverflowError: a rounded weight or input is out of range.
        RuntimeError: the shapes do not fit, or no chip is open and ``mock`` is false.
    """
    if madc_recording_path:
        raise RuntimeError("the emulator records no MADC samples; leave madc_recording_path empty")
    return biased_mac(x, weights, num_sends=num_sends, wait_between_events=wait_between_events, mock=mock)


@Builtin
def matmul(
    input: torch.Tensor,  # noqa: A002 - hxtorch's keyword
    other: torch.Tensor,
    num_sends: int = 1,
    wait_between_events: int = defaults.wait_between_events,
    mock: bool = False,
    madc_recording_neuron_id: int = 0,
    madc_recording_path: str = "",
) -> torch.Tensor:
    """Do ``torch.matmul`` on the chip: see ``mac`` for the ranges and the keywords.

    Leading axes of ``input``, (..., rows), are folded into one batch; ``other`` is (rows, columns) or (rows,).

    Returns:
        (..., columns), or (...) when ``other`` has one axis.

    Raises:
        OverflowError: a rounded weight or input is out of range.
        RuntimeError: the shapes do not fit, or no chip is open and ``mock`` is false.
    """
    if input.dim() == 0:
        raise RuntimeError("input has at least one dimension, but got a scalar")
    if other.dim() not in {1, 2}:
        raise RuntimeError(f"other has one or two dimensions, but got {other.dim()}")
    weights = other.unsqueeze(-1) if other.dim() == 1 else other
    x = input.reshape(-1, input.shape[-1]) if input.dim() > 2 else input
    y = mac(
        x,
        weights,
        num_sends,
        wait_between_events,
        mock,
        madc_recording_neuron_id,
        madc_recording_path,
    )
    return y if input.dim() <= 2 and other.dim() == 2 else y.reshape(input.shape[:-1] + other.shape[1:])
