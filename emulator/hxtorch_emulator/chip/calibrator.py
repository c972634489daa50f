"""Making a calibration: measure every neuron, trim it, measure again."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import torch

from hxtorch_emulator.chip.calibration import Calibration
from hxtorch_emulator.chip.fixed_pattern import NEURONS, ROWS
from hxtorch_emulator.perceptron.constants import defaults

if TYPE_CHECKING:
    from hxtorch_emulator.chip.virtual_chip import VirtualChip

_ROUNDS = 3
_REPEATS = 200
_WEIGHT = 21
_INPUT = 16
_SWING_LSB = 50.0


def calibrate(chip: VirtualChip, target_gain: float = defaults.gain) -> Calibration:
    """Find the trims that bring each neuron of ``chip`` to no offset and ``target_gain``.

    The chip is left with them applied. Readouts are noisy, so the trims are too, by a fraction of an LSB;
    what differs from synapse to synapse stays, except for its mean over the rows of a neuron.

    Args:
        chip: measured as it is: at its present temperature.
        target_gain: LSB per unit of input times weight.
    """
    p = chip.parameters
    with torch.device("cpu"):  # where a virtual chip computes
        gain_codes, offset_codes = torch.zeros(NEURONS), torch.zeros(NEURONS)
        for _ in range(_ROUNDS):
            chip.apply(_calibration(chip, target_gain, gain_codes, offset_codes))
            offset, gain = measure_neurons(chip)
            gain_codes -= torch.log(gain.clamp_min(1e-6) / target_gain) / math.log1p(p.gain_trim_step)
            offset_codes -= offset / p.offset_trim_step_lsb
            gain_codes.round_().clamp_(-p.gain_trim_steps, p.gain_trim_steps)
            offset_codes.round_().clamp_(-p.offset_trim_steps, p.offset_trim_steps)
    calibration = _calibration(chip, target_gain, gain_codes, offset_codes)
    chip.apply(calibration)
    return calibration


def measure_neurons(chip: VirtualChip) -> tuple[torch.Tensor, torch.Tensor]:
    """Measure the offset (LSB) and the gain (LSB per unit of input times weight) of each neuron: (512,) and (512,).

    The gain is half the difference between a positive and a negative swing of about 50 LSB, each the mean of
    200 readouts; in every readout other rows are active.
    """
    rows = max(1, min(ROWS, round(_SWING_LSB / (_INPUT * _WEIGHT * chip.parameters.gain))))
    ideal = rows * _INPUT * _WEIGHT
    inputs = torch.zeros(_REPEATS, ROWS)
    chosen = torch.rand(_REPEATS, ROWS).argsort(1)[:, :rows]
    inputs.scatter_(1, chosen, float(_INPUT))
    weights = torch.full((ROWS, NEURONS), float(_WEIGHT))
    upwards, downwards = chip.read(inputs, weights).mean(0), chip.read(inputs, -weights).mean(0)
    offset = chip.read(torch.zeros_like(inputs), weights).mean(0) + 0.5  # readouts are floored
    return offset, (upwards - downwards) / (2 * ideal)


def _calibration(
    chip: VirtualChip, target_gain: float, gain_codes: torch.Tensor, offset_codes: torch.Tensor
) -> Calibration:
    return Calibration(
        chip_id=chip.chip_id,
        temperature_c=chip.temperature_c,
        made_at_s=chip.clock(),
        target_gain=target_gain,
        gain_codes=tuple(int(code) for code in gain_codes),
        offset_codes=tuple(int(code) for code in offset_codes),
    )
