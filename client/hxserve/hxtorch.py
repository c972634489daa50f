"""The one line for programs that choose the shared chip themselves: `import hxserve.hxtorch`, then `import hxtorch`.

The module has hxtorch's names, too: `import hxserve.hxtorch as hxtorch`.
"""

from hxserve.programs.installation import use_shared_chip
from hxserve.programs.publication import publish, save_version
from hxtorch_emulator import (
    CalibrationPath,
    HWDBPath,
    get_unique_identifier,
    init_hardware,
    init_hardware_minimal,
    logger,
    perceptron,
    release_hardware,
)

__all__ = [
    "CalibrationPath",
    "HWDBPath",
    "get_unique_identifier",
    "init_hardware",
    "init_hardware_minimal",
    "logger",
    "perceptron",
    "publish",
    "release_hardware",
    "save_version",
    "use_shared_chip",
]

use_shared_chip()
