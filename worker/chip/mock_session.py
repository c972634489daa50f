"""hxtorch's mock arithmetic as a chip: ideal but for its noise, and nothing to calibrate."""

from pathlib import Path
from typing import Any, NoReturn

import hxtorch_emulator as emulator
from services.errors import ChipUnavailableError
from worker.chip.canary import CanaryReference, measure_deviations, score_of
from worker.chip.self_test import check_chip
from worker.chip.session import ChipSession, Loaded

_NOTHING = "the mock has nothing to calibrate"


class MockSession(ChipSession):
    """No chip: the arithmetic of the mock in its place."""

    backend = "mock"
    execution = "mock"
    can_drift = False

    def calibrate(self) -> NoReturn:
        """Refuse: there is nothing to calibrate."""
        raise ChipUnavailableError(
            f"{_NOTHING}; run the worker with `--chip emulator` to have a chip that has"
        )


def open_mock(chip: str, calibration: Path | None, *, canary_limit: float) -> MockSession:
    """Return the mock, tested; it need not be closed.

    Raises:
        ChipUnavailableError: a calibration was given.
    """
    if calibration is not None:
        raise ChipUnavailableError(f"{_NOTHING}; leave the calibration out or choose another chip")
    perceptron: Any = emulator.perceptron
    self_test = check_chip(perceptron, mock=True)
    parameter = perceptron.get_mock_parameter()
    score_lsb = score_of(measure_deviations(perceptron, parameter.gain, mock=True))
    reference = CanaryReference(gain=parameter.gain, score_lsb=score_lsb)
    loaded = Loaded("mock", parameter, self_test, reference, None)
    return MockSession(chip, perceptron, loaded, canary_limit=canary_limit)
