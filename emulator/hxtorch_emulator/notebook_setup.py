"""The functions with which the teaching notebooks find a chip, for the virtual one.

Source: ``_static/common/helpers.py`` beside the notebooks.
"""

import os
from pathlib import Path

from hxtorch_emulator import logger
from hxtorch_emulator.chip.calibration import Calibration
from hxtorch_emulator.chip.virtual_chip import VirtualChip
from hxtorch_emulator.connection import chosen_chip

_log = logger.get(__name__).python_logger


def setup_hardware_client() -> None:
    """Log the chip's identifier."""
    _log.info("Connection to %s established", chosen_chip().chip_id)


def save_nightly_calibration(
    filename: str = "spiking_cocolist.pbin",
    source_folder: str | os.PathLike[str] | None = None,  # noqa: ARG001 - the notebooks' signature
    folder: str | os.PathLike[str] | None = None,
) -> None:
    """Write the chip's calibration to a file, for ``init_hardware(CalibrationPath(filename))``.

    Args:
        filename: of the file.
        source_folder: accepted for the notebooks' sake.
        folder: of the file; by default the current one.
    """
    get_nightly_calibration(filename).write(Path(folder or ".") / filename)


def get_nightly_calibration(filename: str = "spiking_cocolist.pbin") -> Calibration:  # noqa: ARG001 - the notebooks' signature
    """Return the chip's calibration, made now unless there is one."""
    chip = chosen_chip()
    assert isinstance(chip, VirtualChip)
    if chip.calibration is None:
        chip.open(None)
    assert chip.calibration is not None
    return chip.calibration
