"""The chip of this process, real or emulated, behind one context manager: `open_chip`."""

from worker.chip.canary import has_drifted
from worker.chip.opening import open_chip
from worker.chip.session import CalibrationOutcome, ChipSession
from worker.chip.virtual_choice import VirtualChoice

__all__ = ["CalibrationOutcome", "ChipSession", "VirtualChoice", "has_drifted", "open_chip"]
