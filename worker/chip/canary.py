"""The canary: a fixed batch whose readouts show how far a chip is from its ideal readouts.

It is made of 8 vectors of 128 inputs and one matrix of 128 x 512 weights, so that every neuron of both
hemispheres is read. Columns have positive and negative weights in turn; the vectors reach from nothing to about
60 LSB, where neurons are still linear. Each vector is read 32 times and the readouts are averaged, so that the
noise of a readout (about 2 LSB) counts for less than half an LSB and the pattern remains.
"""

from dataclasses import dataclass
from typing import Final

import torch
from torch import Tensor

from worker.learning.arithmetic import Perceptron

_SEED: Final = 20_260_301
_VECTORS: Final = 8
_REPEATS: Final = 32
_ROWS: Final = 128
_NEURONS: Final = 512
_MOST_INPUT: Final = 18
_SWING_LSB: Final = 60.0
_MOST_WEIGHT: Final = 63


@dataclass(frozen=True, slots=True)
class CanaryReference:
    """The canary right after a calibration.

    `gain` (LSB per unit of input times weight) gives the ideal readouts; `score_lsb` is the score that
    the chip had then. Later scores are judged against it, by the same gain.
    """

    gain: float
    score_lsb: float


def measure_deviations(perceptron: Perceptron, gain: float, *, mock: bool) -> Tensor:
    """Return averaged readouts less the ideal ones, in LSB: `(8, 512)`, vector by neuron.

    Args:
        perceptron: the chip's arithmetic.
        gain: LSB per unit of input times weight; the weights are chosen by it, and the ideal.
        mock: compute in the mock instead of on the open chip.
    """
    inputs, weights = _batch(gain)
    readouts = perceptron.matmul(inputs.repeat(_REPEATS, 1), weights, mock=mock)
    means = readouts.reshape(_REPEATS, _VECTORS, _NEURONS).mean(0) + 0.5  # readouts are floored
    return means - inputs @ weights * gain


def score_of(deviations: Tensor) -> float:
    """Return the canary's score: the root of the mean squared deviation, in LSB."""
    return float(deviations.square().mean().sqrt())


def spread_of(deviations: Tensor) -> float:
    """Return how far apart neurons are: the 10th to the 90th percentile of the deviations, in LSB.

    Source: the acceptance test of calix takes the same percentiles.
    """
    low, high = deviations.flatten().quantile(torch.tensor([0.1, 0.9]))
    return float(high - low)


def has_drifted(score_lsb: float, limit_lsb: float) -> bool:
    """Return whether a chip has drifted from its calibration.

    Args:
        score_lsb: the canary's score now; one that is no number counts as drifted.
        limit_lsb: the highest score that is still good: a multiple of the score right after the calibration.
    """
    return not score_lsb <= limit_lsb


def _batch(gain: float) -> tuple[Tensor, Tensor]:
    """Return inputs `(8, 128)`, 0..18, and weights `(128, 512)`: the same for the same gain."""
    generator = torch.Generator().manual_seed(_SEED)
    loudness = torch.linspace(0.0, 1.0, _VECTORS).unsqueeze(1)
    inputs = torch.round(loudness * torch.randint(0, _MOST_INPUT + 1, (_VECTORS, _ROWS), generator=generator))
    mean_weight = _SWING_LSB / (gain * _ROWS * _MOST_INPUT / 2)
    most = min(_MOST_WEIGHT, max(1, round(2 * mean_weight) - 1))
    weights = torch.randint(1, most + 1, (_ROWS, _NEURONS), generator=generator).to(torch.float32)
    weights[:, 1::2] *= -1
    return inputs, weights
