"""An emulator of ``hxtorch`` in plain torch: the same names, the same numbers, no chip.

``from hxtorch_emulator import perceptron`` stands for ``from hxtorch import perceptron``; ``install`` makes
``import hxtorch`` itself find the emulator.
"""

from hxtorch_emulator import logger, perceptron
from hxtorch_emulator.connection import (
    CalibrationPath,
    HWDBPath,
    get_unique_identifier,
    init_hardware,
    init_hardware_minimal,
    release_hardware,
)
from hxtorch_emulator.installation import install

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
