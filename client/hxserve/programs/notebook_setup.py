"""The functions with which the teaching notebooks find a chip, for the chip of a service.

Source: `_static/common/helpers.py` beside the notebooks.
"""

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hxserve.programs.calibration_names import CalibrationName
from hxserve.programs.installation import shared_chip
from hxtorch_emulator import logger

_log = logger.get(__name__).python_logger


@dataclass(frozen=True, slots=True)
class NightlyCalibration:
    """What the service knows of a chip's calibration.

    Attributes:
        name: the chip and the calibration's sha256.
        calibration: time, age and further facts; None if the backend has none.
    """

    name: CalibrationName
    calibration: Mapping[str, Any] | None


def setup_hardware_client() -> None:
    """Choose the chip, the one that HXSERVE_CHIP_ID names or the least busy, and log its identifier.

    Raises:
        SharedChipError: no service answers, or it refused.
    """
    _log.info("Connection to %s established", shared_chip().facts().identifier)


def save_nightly_calibration(
    filename: str = "spiking_cocolist.pbin",
    source_folder: str | os.PathLike[str] | None = None,  # noqa: ARG001 - the notebooks' signature
    folder: str | os.PathLike[str] | None = None,
) -> None:
    """Write a file that names the chip's present calibration, for `init_hardware(CalibrationPath(filename))`.

    Args:
        filename: of the file.
        source_folder: accepted for the notebooks' sake.
        folder: of the file; by default the current one.

    Raises:
        SharedChipError: no service answers, or it refused.
    """
    get_nightly_calibration(filename).name.write(Path(folder or ".") / filename)


def get_nightly_calibration(filename: str = "spiking_cocolist.pbin") -> NightlyCalibration:  # noqa: ARG001 - the notebooks' signature
    """Return what the service knows of the chip's present calibration.

    Raises:
        SharedChipError: no service answers, or it refused.
    """
    facts = shared_chip().facts()
    name = CalibrationName(facts.chip, facts.identifier, facts.calibration_sha256)
    return NightlyCalibration(name, facts.calibration)
