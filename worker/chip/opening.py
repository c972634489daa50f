"""Opening a chip, and closing it in every way out."""

import importlib
import importlib.util
import logging
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Literal, assert_never

from services.errors import ChipError, ChipUnavailableError
from services.settings import ChipChoice
from worker import emulator
from worker.chip.self_test import check_chip
from worker.chip.session import ChipSession

_log = logging.getLogger(__name__)


@contextmanager
def open_chip(choice: ChipChoice, chip: str, calibration: Path | None) -> Iterator[ChipSession]:
    """The chip asked for, tested; it is closed when the context ends.

    Args:
        choice: `mock` is hxtorch's mock arithmetic without a chip; `auto` takes the real chip where hxtorch is
            installed, else the mock, and says which.
        chip: the chip's name in the service.
        calibration: what to load into a real chip.

    Raises:
        ChipUnavailableError: what was asked for is not here; nothing else is taken instead.
        ChipError: the chip does not pass its self-test.
    """
    match choice:
        case "auto":
            found: Literal["hxtorch", "mock"] = "hxtorch" if importlib.util.find_spec("hxtorch") else "mock"
            _log.warning("chip: auto takes %s", found)
            with open_chip(found, chip, calibration) as session:
                yield session
        case "mock":
            if calibration is not None:
                raise ChipUnavailableError(
                    "the mock has nothing to calibrate; leave the calibration out or choose another chip"
                )
            yield _mock_session(chip)
        case "emulator":
            raise ChipUnavailableError(
                "the virtual chip cannot serve yet; choose `--chip mock`, the arithmetic without a chip's deviations"
            )
        case "hxtorch":
            with _real_session(chip, calibration) as session:
                yield session
        case _:
            assert_never(choice)


def _mock_session(chip: str) -> ChipSession:
    perceptron: Any = emulator.perceptron
    return ChipSession(
        chip=chip,
        backend="mock",
        identifier="mock",
        perceptron=perceptron,
        execution="mock",
        mock_parameter=perceptron.get_mock_parameter(),
        calibration=None,
        self_test=check_chip(perceptron, mock=True),
    )


@contextmanager
def _real_session(chip: str, calibration: Path | None) -> Iterator[ChipSession]:
    if importlib.util.find_spec("hxtorch") is None:
        raise ChipUnavailableError(
            "hxtorch is not installed here; it comes with the BrainScaleS-2 software container. Start the worker "
            "inside it, or choose `--chip mock`"
        )
    hxtorch: Any = importlib.import_module("hxtorch")
    perceptron: Any = importlib.import_module("hxtorch.perceptron")
    try:
        if calibration is not None:
            hxtorch.init_hardware(hxtorch.CalibrationPath(str(calibration)))
        else:
            hxtorch.init_hardware()
    except Exception as error:
        raise ChipError(f"hxtorch could not open the chip: {error}") from error
    try:
        parameter = perceptron.measure_mock_parameter()
        perceptron.set_mock_parameter(parameter)
        yield ChipSession(
            chip=chip,
            backend="hxtorch",
            identifier=hxtorch.get_unique_identifier()[0],
            perceptron=perceptron,
            execution="chip",
            mock_parameter=parameter,
            calibration={"path": str(calibration.resolve())} if calibration else None,
            self_test=check_chip(perceptron, mock=False),
        )
    finally:
        hxtorch.release_hardware()
