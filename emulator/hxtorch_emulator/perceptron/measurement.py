"""Measurement of the gain and noise of the open chip."""

import torch

from hxtorch_emulator.perceptron import constants
from hxtorch_emulator.perceptron.mocking import MockParameter
from hxtorch_emulator.perceptron.multiplication import matmul

_VECTORS = 50
_DENSITIES = [0.85**i for i in range(20)]


def measure_mock_parameter() -> MockParameter:
    """Measure the mock parameter that describes the open chip.

    Many inputs of half the range meet a matrix of one third of the largest weight; of twenty densities,
    the one whose outputs are nearest the middle of the positive range is measured.

    Raises:
        RuntimeError: no chip is open.

    Source: hxtorch.perceptron.measure_mock_parameter.
    """
    weights = torch.full(
        (constants.hardware_matrix_height, constants.hardware_matrix_width),
        float(constants.synaptic_weight_max // 3),
    )
    medians = torch.stack([matmul(_inputs(density), weights).median() for density in _DENSITIES])
    nearest = (medians - constants.output_activation_max / 2).abs().argmin().item()
    inputs = _inputs(_DENSITIES[int(nearest)])
    measured = matmul(inputs, weights)
    ideal = inputs @ weights
    gain = (measured / ideal).median().item()
    noise_std = (measured - ideal * gain).std(0).median().item()
    return MockParameter(noise_std=noise_std, gain=gain)


def _inputs(density: float) -> torch.Tensor:
    """Draw inputs, (50, 128): half the largest one, rounded as the chip does, with probability ``density``."""
    half = torch.round(torch.tensor(constants.input_activation_max / 2))
    return half * (torch.rand(_VECTORS, constants.hardware_matrix_height) < density)
