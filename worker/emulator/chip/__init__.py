"""A virtual BrainScaleS-2: what hxtorch's operations compute on the emulator when ``mock`` is false."""

from worker.emulator.chip.calibration import Calibration
from worker.emulator.chip.calibrator import calibrate
from worker.emulator.chip.parameters import ChipParameters
from worker.emulator.chip.virtual_chip import VirtualChip

__all__ = ["Calibration", "ChipParameters", "VirtualChip", "calibrate"]
