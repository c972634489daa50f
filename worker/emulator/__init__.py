"""An emulator of ``hxtorch`` in plain torch: the same names, the same numbers, no chip.

``from worker.emulator import perceptron`` stands for ``from hxtorch import perceptron``; ``install`` makes
``import hxtorch`` itself find the emulator.
"""

from worker.emulator import logger, perceptron
from worker.emulator.connection import (
    CalibrationPath,
    HWDBPath,
    get_unique_identifier,
    init_hardware,
    init_hardware_minimal,
    release_hardware,
)
from worker.emulator.installation import install

__all__ = [
    "CalibrationPath",
    "HWDBPath",
    "get_unique_identifier",
    "init_hardware",
    "init_hardware_minimal",
    "install",
    "logger",
    "perceptron",
    "release_hardware",
]
