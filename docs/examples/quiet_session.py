"""Mock arithmetic without noise: the same crop gives the same scores, whenever it is read."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, NoReturn

import hxtorch_emulator as emulator
from services.errors import ChipUnavailableError
from worker.chip.canary import CanaryReference, measure_deviations, score_of
from worker.chip.self_test import check_chip
from worker.chip.session import ChipSession, Loaded


class QuietSession(ChipSession):
    """No chip, and no noise in its place."""

    backend = "quiet"
    execution = "mock"
    can_drift = False

    def calibrate(self) -> NoReturn:
        """Refuse: there is nothing to calibrate."""
        raise ChipUnavailableError("there is nothing to calibrate; run the worker with `--chip emulator`")


@contextmanager
def open_quiet(chip: str, *, canary_limit: float) -> Iterator[QuietSession]:
    """Give the arithmetic, tested; other numbers of the mock are in force again when the context ends.

    Raises:
        ChipError: it does not pass its self-test.
    """
    perceptron: Any = emulator.perceptron
    usual = perceptron.get_mock_parameter()
    parameter = perceptron.MockParameter(noise_std=0.0, gain=usual.gain)
    perceptron.set_mock_parameter(parameter)
    try:
        self_test = check_chip(perceptron, mock=True)
        score_lsb = score_of(measure_deviations(perceptron, parameter.gain, mock=True))
        reference = CanaryReference(gain=parameter.gain, score_lsb=score_lsb)
        loaded = Loaded("quiet", parameter, self_test, reference, None)
        yield QuietSession(chip, perceptron, loaded, canary_limit=canary_limit)
    finally:
        perceptron.set_mock_parameter(usual)
