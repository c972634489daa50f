"""The self-test of a chip: a small product with a known answer, before any work runs on it."""

from typing import Final

import torch

from services.errors import ChipError
from worker.learning.arithmetic import Perceptron

NOISE_LIMIT_LSB: Final = 7.0
"""Largest acceptable noise of a readout. Source: acceptance limit of the calix test-suite."""

_REPEATS: Final = 32
_ROWS: Final = 128
_COLUMNS: Final = 256
_WEIGHT: Final = 21.0
_INPUT: Final = 10.0


def check_chip(perceptron: Perceptron, *, mock: bool) -> dict[str, float]:
    """Read the same product with positive and negative weights several times.

    Returns:
        `high_lsb` and `low_lsb`, the median readouts of positive and negative weights, and `noise_lsb`, the
        median over the columns of the standard deviation.

    Raises:
        ChipError: the readouts do not follow the weights, or are too noisy.
    """
    weights = torch.full((_ROWS, _COLUMNS), _WEIGHT)
    weights[:, 1::2] = -_WEIGHT
    inputs = torch.full((_REPEATS, _ROWS), _INPUT)
    readouts = perceptron.matmul(inputs, weights, mock=mock)
    if readouts.shape != (_REPEATS, _COLUMNS):
        raise ChipError(
            f"self-test: readouts have shape {tuple(readouts.shape)}, not ({_REPEATS}, {_COLUMNS})"
        )
    measured = {
        "high_lsb": float(readouts[:, 0::2].median()),
        "low_lsb": float(readouts[:, 1::2].median()),
        "noise_lsb": float(readouts.std(dim=0).median()),
    }
    if not measured["high_lsb"] > 10 > -10 > measured["low_lsb"]:
        raise ChipError(f"self-test: the readouts do not follow the weights ({measured}); calibrate the chip")
    if measured["noise_lsb"] > NOISE_LIMIT_LSB:
        raise ChipError(
            f"self-test: a readout's noise is {measured['noise_lsb']:.1f} LSB, at most {NOISE_LIMIT_LSB} is "
            "acceptable; calibrate the chip"
        )
    return measured
