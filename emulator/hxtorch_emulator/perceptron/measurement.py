"""Measurement of the gain and noise of the open chip."""

import torch

from hxtorch_emulator.builtin import Builtin
from hxtorch_emulator.perceptron import constants
from hxtorch_emulator.perceptron.mocking import MockParameter
from hxtorch_emulator.perceptron.multiplication import matmul

_VECTORS = 50
_ROWS, _COLUMNS = 256, 128

_DENSITIES = [0.85**i for i in range(20)]


@Builtin
def measure_mock_parameter() -> MockParameter:
    """Measure the mock parameter that describes the open chip.

    Inputs of half the largest one, not rounded beforehand, meet a matrix of two tiles of one third of the largest
    weight. Of twenty densities of inputs, the one whose outputs are nearest the middle of the positive range is
    measured. The noise is thus that of the sum of two readouts.

    Raises:
        RuntimeError: no chip is open.

    Source: hxtorch.perceptron.measure_mock_parameter.
    """
    weights = torch.full((_ROWS, _COLUMNS), constants.synaptic_weight_max / 3)
    medians = torch.stack([matmul(_inputs(density), weights).median() for density in _DENSITIES])
    nearest = (medians - constants.output_activation_max / 2).abs().argmin().item()
    inputs = _inputs(_DENSITIES[int(nearest)])
    measured = matmul(inputs, weights)
    ideal = inputs @ weights
    gain = (measured / ideal).median().item()
    noise_std = (measured - ideal * gain).std(0).median().item()
    return MockParameter(noise_std=noise_std, gain=gain)


def _inputs(density: float) -> torch.Tensor:
    """Draw inputs, (50, 256): half the largest one with probability ``density``, else 0."""
    return (torch.rand(_VECTORS, _ROWS) < density) * (constants.input_activation_max / 2)
