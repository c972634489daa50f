"""Calibration as an activity."""

from collections.abc import Callable
from dataclasses import asdict
from typing import Any

from worker.activities.activity import Activity
from worker.chip import CalibrationOutcome, ChipSession


class CalibrationActivity(Activity):
    """A calibration: one step, in which the chip cannot be interrupted."""

    steps_total = 1

    def __init__(self, session: ChipSession, when_done: Callable[[], None]) -> None:
        self._session = session
        self._when_done = when_done
        self._outcome: CalibrationOutcome | None = None

    @property
    def steps_done(self) -> int:
        """1 when the chip is calibrated, else 0."""
        return int(self._outcome is not None)

    def step(self) -> None:
        """Calibrate the chip."""
        self._outcome = self._session.calibrate()
        self._when_done()

    def complete(self) -> dict[str, Any]:
        """Return the path of the calibration, and the measurements with it."""
        assert self._outcome is not None
        return {"chip": self._session.chip, **asdict(self._outcome)}
