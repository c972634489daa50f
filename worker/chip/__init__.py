"""The chip of this process, real or emulated, behind one context manager: `open_chip`."""

from worker.chip.canary import has_drifted
from worker.chip.opening import open_chip
from worker.chip.session import CalibrationOutcome, ChipSession

__all__ = ["CalibrationOutcome", "ChipSession", "has_drifted", "open_chip"]
