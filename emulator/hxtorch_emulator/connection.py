"""Opening and closing the chip of this process, under hxtorch's names."""

from dataclasses import dataclass
from pathlib import Path
from types import NoneType
from typing import Protocol

import torch

from hxtorch_emulator.builtin import Builtin
from hxtorch_emulator.chip.calibration import CalibrationFile
from hxtorch_emulator.chip.virtual_chip import VirtualChip

DEFAULT_CHIP_ID = "hxvirtual0fpga0chip0_1"
"""The chip of a program that chooses none."""


def _require(name: str, value: object, *types: type) -> None:
    """Refuse ``value`` unless it is of one of ``types``, as hxtorch's compiled functions do."""
    if not isinstance(value, types):
        expected = " or ".join("None" if kind is NoneType else kind.__name__ for kind in types)
        raise TypeError(f"{name} must be {expected}, but got {type(value).__name__}")


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

    def __post_init__(self) -> None:
        _require("value", self.value, str)


@dataclass(frozen=True, slots=True)
class HWDBPath:
    """Root of the calibrations of all chips: ``<path>/<chip id>/<version>/hagen_cocolist.*``.

    Attributes:
        path: the folder; without one the chip is calibrated as it is opened.
        version: the folders between the chip's and the file.
    """

    path: str | None = None
    version: str = "stable/latest"

    def __post_init__(self) -> None:
        _require("path", self.path, str, NoneType)
        _require("version", self.version, str)


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


@Builtin
def init_hardware(
    hwdb_path: HWDBPath | CalibrationPath | None = None,
    ann: bool = False,
    *,
    calibration_path: CalibrationPath | None = None,
) -> None:
    """Open the chip and calibrate it.

    Args:
        hwdb_path: where the calibrations of all chips are, for ``ann``; or, without a keyword, a ``CalibrationPath``.
        ann: load the chip's calibration for ``perceptron`` from ``hwdb_path``.
        calibration_path: the calibration to load. Without any, the chip is calibrated on the spot.

    Raises:
        TypeError: an argument is of another type, or two calibrations are given.
        RuntimeError: there is no calibration there, or it is damaged.
    """
    _require("hwdb_path", hwdb_path, HWDBPath, CalibrationPath, NoneType)
    _require("ann", ann, bool)
    _require("calibration_path", calibration_path, CalibrationPath, NoneType)
    if isinstance(hwdb_path, CalibrationPath):
        if ann or calibration_path is not None:
            raise TypeError("a CalibrationPath is given alone")
        calibration_path, hwdb_path = hwdb_path, None
    chip = chosen_chip()
    calibration: Path | None = None
    if calibration_path is not None:
        calibration = Path(calibration_path.value)
    elif ann and hwdb_path is not None and hwdb_path.path is not None:
        calibration = Path(hwdb_path.path) / chip.chip_id / hwdb_path.version
    _process.calibration_file = chip.open(calibration)
    _process.is_open = True


@Builtin
def init_hardware_minimal() -> None:
    """Open the chip without a calibration: every trim in the middle of its range."""
    chosen_chip().open_uncalibrated()
    _process.is_open, _process.calibration_file = True, None


@Builtin
def release_hardware() -> None:
    """Close the chip; harmless when it is closed."""
    if _process.is_open:
        chosen_chip().close()
    _process.is_open, _process.calibration_file = False, None


@Builtin
def get_unique_identifier(hwdb_path: HWDBPath | None = None) -> list[str]:
    """Return the id of the open chip, in a list.

    Raises:
        TypeError: ``hwdb_path`` is of another type.
        RuntimeError: none is open.
    """
    _require("hwdb_path", hwdb_path, HWDBPath, NoneType)
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
