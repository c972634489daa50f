"""A virtual BrainScaleS-2: hxtorch's operations on the emulator when ``mock`` is false."""

from hxtorch_emulator.chip.calibration import Calibration
from hxtorch_emulator.chip.calibrator import calibrate
from hxtorch_emulator.chip.parameters import ChipParameters
from hxtorch_emulator.chip.virtual_chip import VirtualChip

__all__ = ["Calibration", "ChipParameters", "VirtualChip", "calibrate"]
