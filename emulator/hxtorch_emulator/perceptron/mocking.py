"""The two numbers that describe a chip to its mock: gain and noise."""

from dataclasses import dataclass

from hxtorch_emulator.builtin import Builtin
from hxtorch_emulator.perceptron.constants import defaults


@dataclass(slots=True)
class MockParameter:
    """Gain and readout noise of the mock.

    Attributes:
        noise_std: standard deviation of each readout, in LSB, of either sign; 0 switches the noise off.
        gain: LSB per unit of input times weight, in (0, 1].

    Source: hxtorch.perceptron, whose class has the same two arguments in the same order.
    """

    noise_std: float = defaults.noise_std
    gain: float = defaults.gain


# hxtorch keeps this one parameter per process, so its emulator must too.
_current = MockParameter()


@Builtin
def get_mock_parameter() -> MockParameter:
    """Return the parameter in use, as a copy: changing it changes nothing until it is set."""
    return MockParameter(noise_std=_current.noise_std, gain=_current.gain)


@Builtin
def set_mock_parameter(parameter: MockParameter) -> None:
    """Use ``parameter`` from now on, in every mock operation and every gradient.

    Raises:
        OverflowError: the gain is outside (0, 1].
    """
    if not 0.0 < parameter.gain <= 1.0:
        raise OverflowError(f"the gain of a MockParameter is in (0, 1], but got {parameter.gain}")
    _current.noise_std = parameter.noise_std
    _current.gain = parameter.gain
