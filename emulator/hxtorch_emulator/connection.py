"""Opening and closing the chip of this process, under hxtorch's names."""

from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import torch

from hxtorch_emulator.chip.calibration import CalibrationFile
from hxtorch_emulator.chip.virtual_chip import VirtualChip

DEFAULT_CHIP_ID = "hxvirtual0fpga0chip0_1"
"""The chip of a program that chooses none."""


class Chip(Protocol):
    """A chip that ``init_hardware`` can open: a ``VirtualChip``, or one that computes elsewhere."""

    @property
    def chip_id(self) -> str:
        """Unique identifier of the hardware, e.g. "hxcube7fpga0chip67_1"."""

    def open(self, calibration: Path | None) -> CalibrationFile | None:
        """Open the chip with the calibration at that path, or with the best one that it has.

        Returns:
            The file, if the chip read one itself.

        Raises:
            RuntimeError: there is no calibration there, it is damaged, or the chip cannot be opened.
        """

    def open_uncalibrated(self) -> None:
        """Open the chip without a calibration."""

    def close(self) -> None:
        """Close the chip; harmless when it is closed."""

    def multiply(
        self, inputs: torch.Tensor, weights: torch.Tensor, *, num_sends: int, wait_between_events: int
    ) -> torch.Tensor:
        """Multiply inputs, (batch, rows), 0..31, by weights, (rows, columns), -63..63; return (batch, columns)."""


@dataclass(frozen=True, slots=True)
class CalibrationPath:
    """Path of a calibration: a file, or a folder with one; links such as ``latest`` are resolved."""

    value: str


@dataclass(frozen=True, slots=True)
class HWDBPath:
    """Root of the calibrations of all chips: ``<path>/<chip id>/<version>/hagen_cocolist.*``.

    Attributes:
        path: the folder; without one the chip is calibrated as it is opened.
        version: the folders between the chip's and the file.
    """

    path: str | None = None
    version: str = "stable/latest"


@dataclass(slots=True)
class _Process:
    """hxtorch's state of a process."""

    chosen: Chip | None = None
    is_open: bool = False
    calibration_file: CalibrationFile | None = None


_process = _Process()


def choose_chip(chip: Chip) -> None:
    """Make ``chip`` the one that ``init_hardware`` opens.

    Raises:
        RuntimeError: another one is open.
    """
    if _process.is_open:
        raise RuntimeError("a chip is open; call release_hardware() before choosing another")
    _process.chosen = chip


def chosen_chip() -> Chip:
    """Return the chip that ``init_hardware`` opens."""
    if _process.chosen is None:
        _process.chosen = VirtualChip(DEFAULT_CHIP_ID)
    return _process.chosen


def init_hardware(hwdb_path: HWDBPath | CalibrationPath | None = None, ann: bool = False) -> None:  # noqa: ARG001 - hxtorch's signature
    """Open the chip and calibrate it.

    ``hwdb_path`` names the calibration; without one, the chip is calibrated on the spot.

    Raises:
        RuntimeError: there is no calibration there, or it is damaged.
    """
    chip = chosen_chip()
    calibration: Path | None = None
    match hwdb_path:
        case CalibrationPath(value):
            calibration = Path(value)
        case HWDBPath(str(path), version):
            calibration = Path(path) / chip.chip_id / version
        case _:
            pass
    _process.calibration_file = chip.open(calibration)
    _process.is_open = True


def init_hardware_minimal() -> None:
    """Open the chip without a calibration: every trim in the middle of its range."""
    chosen_chip().open_uncalibrated()
    _process.is_open, _process.calibration_file = True, None


def release_hardware() -> None:
    """Close the chip; harmless when it is closed."""
    if _process.is_open:
        chosen_chip().close()
    _process.is_open, _process.calibration_file = False, None


def get_unique_identifier(hwdb_path: HWDBPath | None = None) -> list[str]:  # noqa: ARG001 - hxtorch's signature
    """Return the id of the open chip, in a list.

    Raises:
        RuntimeError: none is open.
    """
    return [open_chip().chip_id]


def calibration_file() -> CalibrationFile | None:
    """Return the file whose calibration was loaded when the chip was opened, if it was one."""
    return _process.calibration_file


def open_chip() -> Chip:
    """Return the chip in use.

    Raises:
        RuntimeError: none is open.
    """
    if not _process.is_open:
        raise RuntimeError("No connection allocated. Call init_hardware() first, or pass mock=True.")
    return chosen_chip()
