"""Chip maintenance: the canary on its timer, a calibration by night and after drift."""

import logging
import math
import time
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from datetime import time as time_of_day
from typing import Any, Final

from services.chips.series import SeriesStore
from services.chips.store import Lease
from services.jobs.acceptance import Idempotency
from services.jobs.record import JobKind
from services.jobs.store import JobStore
from services.jobs.submission import new_job
from services.logs import about
from services.users.authentication import SYSTEM
from worker.chip import ChipSession, has_drifted

_log = logging.getLogger(__name__)
_FRESH_S: Final = 12 * 3600.0
"""A calibration younger than this is not repeated at night."""

_ASK_AGAIN_S: Final = 3600.0
_MOST_QUEUED: Final = 10_000
"""Above any real queue: a full queue never refuses a calibration."""


@dataclass(frozen=True, slots=True)
class MaintenanceSchedule:
    """When maintenance is due. `calibrate_at` is a time of day in UTC, None for never."""

    canary_every_s: float
    calibrate_at: time_of_day | None
    recalibrate_on_drift: bool


@dataclass(frozen=True, slots=True)
class Canary:
    """One measurement: Unix seconds, the canary's score and the highest that is good, in LSB."""

    at: float
    score_lsb: float
    limit_lsb: float

    @property
    def is_drifted(self) -> bool:
        """Whether the chip has drifted from its calibration."""
        return has_drifted(self.score_lsb, self.limit_lsb)


class ChipMaintenance:
    """Measures the canary, marks the chip as drifted, and submits calibrations."""

    def __init__(
        self,
        lease: Lease,
        session: ChipSession,
        series: SeriesStore,
        jobs: JobStore,
        schedule: MaintenanceSchedule,
    ) -> None:
        self._lease = lease
        self._session = session
        self._series = series
        self._jobs = jobs
        self._schedule = schedule
        self._canary_at = 0.0
        self._asked_at = -math.inf
        self.last: Canary | None = None

    @property
    def is_drifted(self) -> bool:
        """Whether the last canary was beyond its limit."""
        return self.last is not None and self.last.is_drifted

    @property
    def canary_is_due(self) -> bool:
        """Whether the canary has to be measured now."""
        return self._session.can_drift and time.monotonic() >= self._canary_at

    @property
    def is_due(self) -> bool:
        """Whether maintenance needs a turn."""
        return self.canary_is_due or self._calibration_is_due

    @property
    def _calibration_is_due(self) -> bool:
        at = self._schedule.calibrate_at
        if not self._session.can_calibrate or at is None or datetime.now(UTC).time() < at:
            return False
        age_s = (self._session.calibration or {}).get("age_s")
        is_fresh = age_s is not None and age_s < _FRESH_S
        return not is_fresh and time.monotonic() - self._asked_at > _ASK_AGAIN_S

    def measure_canary(self) -> None:
        """Measure the canary and store its score; a chip beyond the limit gets a calibration, if allowed.

        Raises:
            LeaseLostError: the worker no longer holds the chip.
            ChipError: the chip failed.
        """
        self._canary_at = time.monotonic() + self._schedule.canary_every_s
        score_lsb = self._session.canary()
        limit_lsb = self._session.canary_limit_lsb
        canary = Canary(time.time(), score_lsb, limit_lsb)
        warmth = self._session.temperature_c
        known = {} if warmth is None else {"temperature_c": warmth}
        self._series.add(self._lease, "canary", {**asdict(canary), **known})
        if canary.is_drifted and not self.is_drifted:
            _log.warning(
                "chip %s has drifted: canary %.2f LSB, limit %.2f", self._lease.chip, score_lsb, limit_lsb
            )
        self.last = canary
        if canary.is_drifted and self._session.can_calibrate and self._schedule.recalibrate_on_drift:
            calibration = self._session.calibration or {}
            self._ask_for_calibration(f"drift:{calibration.get('sha256', '')}")

    def see_to_calibration(self) -> None:
        """Submit the nightly calibration if it is due, at most once an hour until one has succeeded."""
        if self._calibration_is_due:
            self._ask_for_calibration("night")
            self._asked_at = time.monotonic()

    def after_calibration(self) -> None:
        """Make the canary due at once, and record the new pattern."""
        self._canary_at = 0.0
        self.show_pattern()

    def show_pattern(self) -> None:
        """Record the chip's fixed pattern, if it is known.

        Raises:
            LeaseLostError: the worker no longer holds the chip.
        """
        pattern = self._session.pattern
        if pattern is not None:
            made_at = (self._session.calibration or {}).get("made_at")
            self._series.keep_pattern(self._lease, {"calibrated_at": made_at, **asdict(pattern)})

    def describe(self) -> dict[str, Any]:
        """Return the facts for the chip's record."""
        canary = {**asdict(self.last), "is_drifted": self.is_drifted} if self.last else None
        return {
            "drifted": self.is_drifted,
            "canary": canary,
            "temperature_c": self._session.temperature_c,
        }

    def _ask_for_calibration(self, occasion: str) -> None:
        job = new_job(JobKind.CALIBRATION, SYSTEM, "", {"chip": self._lease.chip})
        # A failed calibration is submitted again, but not within the hour.
        hour = int(time.time() // _ASK_AGAIN_S)
        key = Idempotency(f"{SYSTEM.name}:{self._lease.chip}:{occasion}:{hour}", occasion)
        if not self._jobs.submit(job, key, most=_MOST_QUEUED).repeated:
            with about(job=job.id, user=job.user):
                _log.info("a calibration of chip %s is asked for (%s)", self._lease.chip, occasion)
