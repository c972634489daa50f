"""hxtorch, and its connection to a real chip: opened with a recorded calibration, tested, and released."""

import importlib
import importlib.util
import logging
import os
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import hxtorch_emulator as emulator
from services.errors import ChipError, ChipUnavailableError
from worker.chip.calibrations import LATEST, CalibrationRecord, find_calibration, read_reference
from worker.chip.environment import way_to_chip
from worker.chip.session import Loaded, measure_chip

_log = logging.getLogger(__name__)

HXTORCH_FAILURES = (RuntimeError, ValueError, OSError)
"""Exceptions of hxtorch when the chip or its connection fails: C++ exceptions, bad files, sockets, time-outs."""


def is_hxtorch_installed() -> bool:
    """Return whether the genuine hxtorch can be imported; the emulator under its name does not count."""
    if "hxtorch" in sys.modules:
        return sys.modules["hxtorch"] is not emulator
    return importlib.util.find_spec("hxtorch") is not None


def import_hxtorch() -> tuple[Any, Any]:
    """Return the modules `hxtorch` and `hxtorch.perceptron`.

    Raises:
        ChipUnavailableError: hxtorch is not installed, or cannot be loaded.
    """
    if not is_hxtorch_installed():
        raise ChipUnavailableError(
            "hxtorch is not installed here; it comes with the BrainScaleS-2 software container. Start the worker "
            "inside it, or choose `--chip emulator`"
        )
    try:
        return importlib.import_module("hxtorch"), importlib.import_module("hxtorch.perceptron")
    except ImportError as error:
        raise ChipUnavailableError(
            f"hxtorch is installed but cannot be loaded: {error}; start the worker in its software container"
        ) from error


class HxtorchConnection:
    """hxtorch's one connection in this process.

    The calibration is the one at the path `calibration`, else `<chip>/stable/latest` in the folder `calibrations`;
    `environment` describes the way to the chip.
    """

    def __init__(
        self,
        hxtorch: Any,
        perceptron: Any,
        calibration: Path | None,
        calibrations: Path,
        environment: Mapping[str, str] = os.environ,
    ) -> None:
        self._hxtorch = hxtorch
        self.perceptron = perceptron
        self._calibration = calibration
        self._calibrations = calibrations
        self._environment = environment

    def open(self) -> Loaded:
        """Open the chip again, load its calibration, test it, and measure gain and noise.

        On failure nothing stays open.

        Raises:
            ChipUnavailableError: the environment names no chip, or there is no calibration where it should be.
            ChipError: hxtorch cannot open the chip, or it does not pass its self-test.
        """
        _log.info("hxtorch opens the chip through %s", way_to_chip(self._environment))
        self.close()
        try:
            identifier, record = self._initialise()
            reference = read_reference(record.path) if record else None
            return measure_chip(self.perceptron, identifier, record, reference)
        except HXTORCH_FAILURES as error:
            self.close()
            raise ChipError(f"hxtorch could not open the chip: {error}") from error
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        """Give the chip back; harmless when it is not open."""
        try:
            self._hxtorch.release_hardware()
        except HXTORCH_FAILURES as error:
            _log.warning("hxtorch could not release the chip: %s", error)

    def _initialise(self) -> tuple[str, CalibrationRecord | None]:
        """Load the calibration by its resolved path, so that exactly the recorded one is loaded."""
        hxtorch = self._hxtorch
        # The chip's identity is known only once it is open, and the folders of calibrations have its name.
        hxtorch.init_hardware_minimal()
        identifier = str(hxtorch.get_unique_identifier()[0])
        given = self._calibration
        if given is None and (self._calibrations / identifier / LATEST).exists():
            given = self._calibrations
        record = find_calibration(given, identifier) if given else None
        hxtorch.release_hardware()
        if record is None:
            _log.warning(
                "no calibration is named: hxtorch takes its own default for %s, which cannot be recorded; "
                "name one with `--calibration`",
                identifier,
            )
            hxtorch.init_hardware()
        else:
            hxtorch.init_hardware(hxtorch.CalibrationPath(str(record.path)))
        opened = str(hxtorch.get_unique_identifier()[0])
        if opened != identifier:
            raise ChipError(
                f"the chip changed from {identifier} to {opened} while it was opened; reserve one chip"
            )
        return identifier, record
