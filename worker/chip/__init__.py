"""The chip of this process, real or emulated, behind one context manager: `open_chip`."""

from worker.chip.opening import open_chip
from worker.chip.session import ChipSession

__all__ = ["ChipSession", "open_chip"]
