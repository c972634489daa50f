"""The virtual chip of the emulator, open: calibrated from a file, or measured on the spot."""

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

from torch import Tensor

import hxtorch_emulator as emulator
from hxtorch_emulator import connection
from hxtorch_emulator.chip import Calibration, VirtualChip, calibrate
from services.errors import ChipUnavailableError, HxserveError
from worker.chip.calibrations import (
    LATEST,
    CalibrationRecord,
    Pattern,
    find_calibration,
    keep_pattern,
    publish_calibration,
    read_pattern,
    read_reference,
)
from worker.chip.canary import measure_deviations, spread_of
from worker.chip.session import CalibrationOutcome, ChipSession, Loaded, measure_chip

_log = logging.getLogger(__name__)
_perceptron: Any = emulator.perceptron

_FLAT: Final = 1.1
"""A chip whose spread was less than this times that after a calibration needed none."""


class VirtualSession(ChipSession):
    """A virtual chip that can be calibrated from here."""

    backend = "emulator"
    can_calibrate = True

    def __init__(
        self,
        chip: str,
        loaded: Loaded,
        virtual_chip: VirtualChip,
        calibrations: Path,
        *,
        canary_limit: float,
    ) -> None:
        super().__init__(chip, _perceptron, loaded, canary_limit=canary_limit)
        self._virtual_chip = virtual_chip
        self._calibrations = calibrations

    @property
    def temperature_c(self) -> float:
        """The virtual chip's temperature, in degrees C."""
        return self._virtual_chip.temperature_c

    def multiply(
        self, inputs: Tensor, weights: Tensor, *, num_sends: int, wait_between_events: int
    ) -> Tensor:
        """Multiply and accumulate, without rounding and checking what is known to be in range."""
        return self._virtual_chip.multiply(
            inputs, weights, num_sends=num_sends, wait_between_events=wait_between_events
        )

    def calibrate(self) -> CalibrationOutcome:
        """Measure and trim every neuron, store the trims and load them; takes about a second."""
        self._loaded, outcome = _calibrate(
            self._virtual_chip, self._calibrations, self._loaded.mock_parameter.gain
        )
        return outcome


@contextmanager
def open_virtual(
    chip: str,
    virtual_chip: VirtualChip,
    calibration: Path | None,
    calibrations: Path,
    *,
    canary_limit: float,
) -> Iterator[VirtualSession]:
    """Open a virtual chip, calibrate and test it; it is closed when the context ends.

    The arguments are those of `open_chip`. Without any calibration the chip is calibrated, and the outcome stored in
    `calibrations`.

    Raises:
        ChipUnavailableError: the calibration is missing, damaged or another chip's.
        ChipError: the chip does not pass its self-test.
        StorageError: a new calibration cannot be kept.
    """
    latest = calibrations / virtual_chip.chip_id / LATEST
    connection.choose_chip(virtual_chip)
    try:
        if calibration is not None or latest.is_symlink():
            loaded = _load(virtual_chip, calibration or latest)
        else:
            _log.warning("virtual chip %s has no calibration yet; it is calibrated now", virtual_chip.chip_id)
            emulator.init_hardware_minimal()
            gain = _perceptron.measure_mock_parameter().gain
            loaded, _ = _calibrate(virtual_chip, calibrations, gain)
        yield VirtualSession(chip, loaded, virtual_chip, calibrations, canary_limit=canary_limit)
    finally:
        emulator.release_hardware()


def _load(virtual_chip: VirtualChip, given: Path) -> Loaded:
    found = find_calibration(given, virtual_chip.chip_id)
    record = _open_with(virtual_chip, found)
    loaded = measure_chip(_perceptron, virtual_chip.chip_id, record, read_reference(record.path))
    return replace(loaded, pattern=read_pattern(record.path))


def _open_with(virtual_chip: VirtualChip, found: CalibrationRecord) -> CalibrationRecord:
    """Load a calibration of this chip; return its record with the time in the file."""
    try:
        emulator.init_hardware(emulator.CalibrationPath(str(found.path)))
    except RuntimeError as error:
        raise ChipUnavailableError(f"{error}; name another calibration, or remove this one") from error
    file = connection.calibration_file()
    assert file is not None
    if file.calibration.chip_id != virtual_chip.chip_id:
        raise ChipUnavailableError(
            f"{found.path} is a calibration of the chip {file.calibration.chip_id}, this one is "
            f"{virtual_chip.chip_id}; name a calibration of this chip, or none"
        )
    return replace(found, sha256=file.sha256, made_at=file.calibration.made_at_s)


def _calibrate(
    virtual_chip: VirtualChip, calibrations: Path, gain_before: float
) -> tuple[Loaded, CalibrationOutcome]:
    before: Calibration | None = virtual_chip.calibration
    parameter_before = _perceptron.get_mock_parameter()
    deviations_before = raw = measure_deviations(_perceptron, gain_before, mock=False)
    try:
        if before is not None:
            virtual_chip.apply(None)
            raw = measure_deviations(_perceptron, _perceptron.measure_mock_parameter().gain, mock=False)
        calibration = calibrate(virtual_chip)
        measured = measure_chip(_perceptron, virtual_chip.chip_id, None, None)
        latest = publish_calibration(calibrations, virtual_chip.chip_id, calibration, measured.reference)
        record = _open_with(virtual_chip, find_calibration(latest, virtual_chip.chip_id))
    except HxserveError:
        virtual_chip.apply(before)
        _perceptron.set_mock_parameter(parameter_before)
        raise
    parameter = measured.mock_parameter
    deviations_after = measure_deviations(_perceptron, parameter.gain, mock=False)
    spread_before_lsb, spread_after_lsb = spread_of(deviations_before), spread_of(deviations_after)
    was_flat = spread_before_lsb < _FLAT * spread_after_lsb
    pattern = Pattern(_offsets(raw), _offsets(deviations_after), was_flat)
    keep_pattern(record.path, pattern)
    loaded = replace(measured, calibration=record, pattern=pattern)
    return loaded, CalibrationOutcome(
        path=str(record.path),
        sha256=record.sha256,
        gain=parameter.gain,
        noise_std_lsb=parameter.noise_std,
        spread_before_lsb=spread_before_lsb,
        spread_after_lsb=spread_after_lsb,
        was_flat=was_flat,
        canary_lsb=loaded.reference.score_lsb,
    )


def _offsets(deviations: Tensor) -> tuple[float, ...]:
    """Return the mean deviation of each neuron, (512,) LSB, of `(8, 512)`."""
    return tuple(round(offset, 1) for offset in deviations.mean(0).tolist())
