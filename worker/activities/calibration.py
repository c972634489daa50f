"""Calibration as an activity."""

from collections.abc import Callable
from typing import Any

from services.jobs.record import Job
from worker.chip import ChipSession
from worker.chip.session import CalibrationOutcome


class CalibrationActivity:
    """A calibration: one step, which the chip cannot be interrupted in."""

    def __init__(self, job: Job, session: ChipSession, when_done: Callable[[], None]) -> None:
        del job
        self._session = session
        self._when_done = when_done
        self._outcome: CalibrationOutcome | None = None

    @property
    def finished(self) -> bool:
        """Whether the chip is calibrated."""
        return self._outcome is not None

    @property
    def steps_done(self) -> int:
        """1 when it is done."""
        return int(self.finished)

    @property
    def steps_total(self) -> int:
        """1."""
        return 1

    @property
    def execution(self) -> str:
        """The chip."""
        return "chip"

    @property
    def in_the_loop(self) -> bool:
        """It learns nothing."""
        return False

    def step(self) -> None:
        """Calibrate the chip."""
        self._outcome = self._session.calibrate()
        self._when_done()

    def metrics(self) -> dict[str, Any]:
        """Position."""
        return {"step": self.steps_done, "steps_total": self.steps_total}

    def save(self) -> None:
        """Do nothing: an interrupted calibration starts again."""

    def complete(self) -> dict[str, Any]:
        """Where the calibration is, and how the chip is with it."""
        assert self._outcome is not None
        return {"chip": self._session.chip, **self._outcome.as_json()}

    def keep_part(self) -> dict[str, Any] | None:
        """Return None: a cancelled calibration has no partial result."""
        return None
