"""A chip that does what a test tells it: it fails, drifts and is calibrated on demand."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from worker.chip import CalibrationOutcome, ChipSession
from worker.chip.session import Loaded

LIMIT = 1.3


class ScriptedSession(ChipSession):
    """The arithmetic of the mock in a session whose failures, canary and calibration a test sets."""

    backend = "emulator"
    execution = "mock"
    can_calibrate = True

    def __init__(self, session: ChipSession) -> None:
        super().__init__(session.chip, session.perceptron, _loaded(session), canary_limit=LIMIT)
        self.failures: list[Exception] = []
        """Raised, one after the other, by work on the chip."""
        self.score_lsb = 0.0
        """What the canary shows."""
        self.sha256 = "first"
        self.age_s = 1e6

    @property
    def calibration(self) -> dict[str, Any]:
        """A calibration of this age and checksum."""
        return {"sha256": self.sha256, "age_s": self.age_s}

    @contextmanager
    def guarded(self) -> Iterator[None]:
        """Fails while it is to."""
        if self.failures:
            raise self.failures.pop(0)
        yield

    def canary(self) -> float:
        """The score that was set."""
        with self.guarded():
            return self.score_lsb

    def calibrate(self) -> CalibrationOutcome:
        """Another calibration, with which the chip is well."""
        self.sha256, self.age_s, self.score_lsb = f"after {self.sha256}", 0.0, 0.0
        return CalibrationOutcome(
            "nowhere", self.sha256, 0.002, 2.0, 9.0, 3.0, False, self.canary_reference_lsb
        )


def _loaded(session: ChipSession) -> Loaded:
    return session._loaded
