"""The virtual chip."""

import math
import time
from collections.abc import Callable
from pathlib import Path
from typing import Final

import torch

from hxtorch_emulator.chip.calibration import Calibration, CalibrationFile, read_calibration
from hxtorch_emulator.chip.calibrator import calibrate
from hxtorch_emulator.chip.fixed_pattern import NEURONS, ROWS, FixedPattern
from hxtorch_emulator.chip.parameters import ChipParameters
from hxtorch_emulator.chip.placed_matrix import PlacedMatrix
from hxtorch_emulator.chip.placement import neurons_of
from hxtorch_emulator.perceptron import readout

_DRIFT_REFRESH_S = 60.0
_CPU: Final = torch.device("cpu")
"""Where a virtual chip computes, whatever torch's default device is."""


class VirtualChip:
    """One BrainScaleS-2 chip, imitated; the same id is always the same chip.

    Args:
        chip_id: which chip, e.g. "hxcube7fpga0chip67_1".
        parameters: its statistics and laws.
        clock: seconds since 1970; the chip drifts with it.

    Attributes:
        temperature_c: how warm it is; set it to change it.
        calibration: the trims applied, or None.
    """

    def __init__(
        self,
        chip_id: str,
        parameters: ChipParameters | None = None,
        *,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self.chip_id = chip_id
        self.parameters = parameters or ChipParameters()
        self.clock = clock
        self.calibration: Calibration | None = None
        self._temperature_c = self.parameters.reference_temperature_c
        with _CPU:
            self._pattern = FixedPattern.of(chip_id, self.parameters)
        self._placed: dict[tuple[int, int], PlacedMatrix] = {}
        self._placed_at_s = -math.inf

    @property
    def temperature_c(self) -> float:
        """Temperature of the chip, in degrees C."""
        return self._temperature_c

    @temperature_c.setter
    def temperature_c(self, value: float) -> None:
        self._temperature_c = value
        self._placed.clear()

    def open(self, calibration: Path | None) -> CalibrationFile | None:
        """Load the calibration at ``calibration``; without one, calibrate on the spot unless that is done.

        Raises:
            RuntimeError: there is no calibration there, or it is damaged.
        """
        if calibration is not None:
            file = read_calibration(calibration)
            self.apply(file.calibration)
            return file
        if self.calibration is None or self.calibration.temperature_c != self.temperature_c:
            calibrate(self)
        return None

    def open_uncalibrated(self) -> None:
        """Set every trim to the middle of its range."""
        self.apply(None)

    def close(self) -> None:
        """Do nothing: the chip stays as it is."""

    def apply(self, calibration: Calibration | None) -> None:
        """Set every trim as ``calibration`` says; to the middle of its range without one.

        Codes beyond the range of a trim count as its end, as do those of another chip: they are applied,
        and do little good.
        """
        self.calibration = calibration
        self._placed.clear()

    def multiply(
        self, inputs: torch.Tensor, weights: torch.Tensor, *, num_sends: int, wait_between_events: int
    ) -> torch.Tensor:
        """Multiply by a matrix of any size, with tiles placed and added up as hxtorch does it; return the readouts.

        All tensors are the CPU's.

        Args:
            inputs: (batch, rows), integers 0..31.
            weights: (rows, columns), integers -63..63.
            num_sends: how often each input is sent.
            wait_between_events: FPGA cycles of 8 ns between two events.

        Returns:
            (batch, columns), -128..127.
        """
        matrix = self._place(*weights.shape)
        effective = matrix.effective(weights)
        loss = self._driver_loss(wait_between_events)
        return readout.add_up(
            lambda start, stop: matrix.charge(inputs[start:stop], effective, num_sends=num_sends, loss=loss),
            batch=inputs.shape[0],
            columns=weights.shape[1],
            scale=1.0,
            noise_std=self.noise_std_lsb,
            device=_CPU,
        )

    def read(self, inputs: torch.Tensor, weights: torch.Tensor, *, num_sends: int = 1) -> torch.Tensor:
        """Run one execution of the whole chip, for calibration; return the readouts.

        Args:
            inputs: (batch, 128), integers 0..31, the same for both hemispheres.
            weights: (128, 512), integers -63..63.
            num_sends: how often each input is sent.

        Returns:
            (batch, 512), -128..127.
        """
        assert weights.shape == (ROWS, NEURONS)
        return self.multiply(inputs, weights, num_sends=num_sends, wait_between_events=5)

    @property
    def noise_std_lsb(self) -> float:
        """Noise of one readout at the present temperature."""
        p = self.parameters
        return p.noise_std_lsb * (1 + p.noise_per_k * self._warmth_k)

    @property
    def _warmth_k(self) -> float:
        return self._temperature_c - self.parameters.reference_temperature_c

    def _driver_loss(self, wait_between_events: int) -> float:
        """Return the relative loss of charge with all rows active."""
        p = self.parameters
        return p.driver_loss * math.exp(-(wait_between_events - 1) / p.driver_recovery_cycles)

    def _gain(self) -> torch.Tensor:
        """Return the gains, (512,), trimmed, at the present temperature."""
        p, gain = self.parameters, self._pattern.gain
        if self.calibration is not None:
            codes = torch.tensor(self.calibration.gain_codes, dtype=torch.float32)
            gain = gain * (1 + p.gain_trim_step) ** codes.clamp(-p.gain_trim_steps, p.gain_trim_steps)
        return gain * (1 + p.gain_per_k * self._warmth_k)

    def _offset_lsb(self, time_s: float) -> torch.Tensor:
        """Return the offsets, (512,), trimmed, at the present temperature and time."""
        p, pattern = self.parameters, self._pattern
        offset = pattern.offset_lsb + pattern.offset_lsb_per_k * self._warmth_k
        offset = offset + pattern.drift_lsb(time_s, p)
        if self.calibration is not None:
            codes = torch.tensor(self.calibration.offset_codes, dtype=torch.float32)
            offset = offset + p.offset_trim_step_lsb * codes.clamp(-p.offset_trim_steps, p.offset_trim_steps)
        return offset

    def _place(self, rows: int, columns: int) -> PlacedMatrix:
        """Place a matrix of that size on the chip; the result is kept while nothing has changed."""
        now_s = self.clock()
        if abs(now_s - self._placed_at_s) > _DRIFT_REFRESH_S:
            self._placed.clear()
            self._placed_at_s = now_s
        if (rows, columns) not in self._placed:
            with _CPU:
                self._placed[rows, columns] = PlacedMatrix.of(
                    neurons_of(rows, columns),
                    rows,
                    pattern=self._pattern,
                    gain=self._gain(),
                    offset_lsb=self._offset_lsb(self._placed_at_s),
                    knee_slope=self.parameters.knee_slope,
                )
        return self._placed[rows, columns]
