"""Trials: the candidate of a rollout reads crops that were answered already, where the chip has nothing else to do.

The shadow (`worker/shadow.py`) is another thing: it compares the chip with its mock twin.
"""

import logging
import time
from collections import deque
from dataclasses import asdict, dataclass
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from services.chips.series import SeriesStore, Trial
from services.chips.store import Lease
from services.crops.lanes import Lane
from services.errors import CheckpointDamagedError, ModelNotFoundError
from services.models.aliases import Rollout
from services.models.files import ModelStore
from worker.chip import ChipSession
from worker.serving import LoadedVersions, Reading
from worker.time_accounting import TimeAccount

_MOST_WAITING: Final = 2048
"""Crops that wait to be read by a candidate, 1.6 MB; more are dropped."""
_STEP_READINGS: Final = 64
"""So few at a time that crops which come meanwhile hardly wait."""
_FRESH_S: Final = 1.0
"""The time for which the rollouts that were read count as current."""
_POINTS_OF_A_ROLLOUT: Final = 100
_SHORTEST_POINT_S: Final = 1.0
_LONGEST_POINT_S: Final = 600.0
_log = logging.getLogger(__name__)


@dataclass(slots=True)
class _Counts:
    """Crops that a candidate has read, and sums of the confidences of both versions in them."""

    crops: int = 0
    disagreements: int = 0
    dropped: int = 0
    confidence: float = 0.0
    candidate_confidence: float = 0.0

    def add(self, other: "_Counts") -> None:
        self.crops += other.crops
        self.disagreements += other.disagreements
        self.dropped += other.dropped
        self.confidence += other.confidence
        self.candidate_confidence += other.candidate_confidence


@dataclass(frozen=True, slots=True)
class _Waiting:
    """Crops (count, 784) with the digits and confidences (count,) that their senders were given."""

    trial: Trial
    crops: npt.NDArray[np.uint8]
    digits: npt.NDArray[np.uint8]
    confidences: npt.NDArray[np.float32]
    repeats: int


class Trials:
    """Samples the crops under aliases with a rollout, and lets the candidate read them in spare chip time.

    Nobody is charged. Crops are kept in memory alone.
    """

    def __init__(
        self,
        lease: Lease,
        session: ChipSession,
        models: ModelStore,
        versions: LoadedVersions,
        series: SeriesStore,
        account: TimeAccount | None = None,
    ) -> None:
        self._lease = lease
        self._session = session
        self._models = models
        self._versions = versions
        self._series = series
        self._account = account or TimeAccount()
        self._random = np.random.default_rng()
        self._rollouts: dict[tuple[str, str], Rollout | None] = {}
        self._rollouts_until = 0.0
        self._waiting: deque[_Waiting] = deque()
        self._crops_waiting = 0
        self._counts: dict[Trial, _Counts] = {}
        """Of the next point of each trial."""
        self._due_at: dict[Trial, float] = {}
        """When these are stored, Unix seconds."""
        self._totals: dict[str, _Counts] = {}

    @property
    def wait(self) -> bool:
        """Whether crops wait to be read by a candidate."""
        return bool(self._waiting)

    @property
    def is_due(self) -> bool:
        """Whether a point is to be stored."""
        now = time.time()
        return any(due_at <= now for due_at in list(self._due_at.values()))

    def note(self, lane: Lane, crops: npt.NDArray[np.uint8], reading: Reading, repeats: int) -> None:
        """Sample crops (count, 784) that the version of a lane has just read, each `repeats` times."""
        rollout = self._rollout_of(lane.model, lane.version)
        if rollout is None:
            return
        trial = Trial(lane.model, lane.version, rollout.candidate)
        chosen = np.flatnonzero(self._random.random(len(crops)) < rollout.shadow)
        room = max(0, _MOST_WAITING - self._crops_waiting)
        if len(chosen) > room:
            self._count(trial, _Counts(dropped=len(chosen) - room))
            chosen = chosen[:room]
        if len(chosen):
            self._crops_waiting += len(chosen)
            self._waiting.append(
                _Waiting(trial, crops[chosen], reading.digits[chosen], reading.confidences[chosen], repeats)
            )

    def step(self) -> None:
        """Let a candidate read a few crops.

        Raises:
            LeaseLostError: the worker no longer holds the chip.
            ChipError: the chip failed; the crops are dropped.
        """
        asked = self._take()
        rollout = self._rollout_of(asked.trial.model, asked.trial.version)
        if rollout is not None and rollout.candidate == asked.trial.candidate:
            counts = _Counts(dropped=len(asked.crops))
            try:
                with self._account.doing("trials"), self._session.guarded():
                    counts = self._read(asked)
            except (ModelNotFoundError, CheckpointDamagedError) as error:
                _log.warning("the candidate of a rollout cannot be read: %s", error.message)
            finally:
                self._count(asked.trial, counts)
        self.keep()

    def keep(self) -> None:
        """Store the points that are due.

        Raises:
            LeaseLostError: the worker no longer holds the chip.
        """
        now = time.time()
        for trial in [trial for trial, due_at in self._due_at.items() if due_at <= now]:
            self._series.add(self._lease, trial, {"at": now, **asdict(self._counts[trial])})
            del self._counts[trial], self._due_at[trial]

    def describe(self) -> dict[str, Any]:
        """Return the counts by model since the worker began, for its status."""
        return {model: asdict(counts) for model, counts in list(self._totals.items())}

    def _take(self) -> _Waiting:
        """Take as many crops of the oldest sample as a step reads."""
        oldest = self._waiting.popleft()
        count = max(1, _STEP_READINGS // oldest.repeats)
        self._crops_waiting -= min(count, len(oldest.crops))
        if len(oldest.crops) <= count:
            return oldest
        first, rest = (
            _Waiting(
                oldest.trial,
                oldest.crops[part],
                oldest.digits[part],
                oldest.confidences[part],
                oldest.repeats,
            )
            for part in (slice(count), slice(count, None))
        )
        self._waiting.appendleft(rest)
        return first

    def _read(self, asked: _Waiting) -> _Counts:
        version = self._versions.get(asked.trial.model, asked.trial.candidate)
        if version.manifest.is_transferred_to(self._session.identifier):
            return _Counts(dropped=len(asked.crops))
        reading = version.read(asked.crops, asked.repeats)
        return _Counts(
            crops=len(asked.crops),
            disagreements=int((reading.digits != asked.digits).sum()),
            confidence=float(asked.confidences.sum()),
            candidate_confidence=float(reading.confidences.sum()),
        )

    def _count(self, trial: Trial, counts: _Counts) -> None:
        if trial not in self._due_at:
            self._due_at[trial] = self._due(trial)
        self._counts.setdefault(trial, _Counts()).add(counts)
        self._totals.setdefault(trial.model, _Counts()).add(counts)

    def _due(self, trial: Trial) -> float:
        """Return when a point that begins now is stored: points of a long rollout are far apart."""
        now, rollout = time.time(), self._rollout_of(trial.model, trial.version)
        age_s = now - rollout.since if rollout else 0.0
        return now + min(max(age_s / _POINTS_OF_A_ROLLOUT, _SHORTEST_POINT_S), _LONGEST_POINT_S)

    def _rollout_of(self, model: str, version: str) -> Rollout | None:
        """Return the rollout of an alias that names a version, with readings by its candidate; None without one."""
        now = time.monotonic()
        if now > self._rollouts_until:
            self._rollouts, self._rollouts_until = {}, now + _FRESH_S
        key = model, version
        if key not in self._rollouts:
            rollouts = (
                alias.rollout
                for alias in self._models.alias_files.of(model).values()
                if alias.version == version and alias.rollout and alias.rollout.shadow > 0
            )
            self._rollouts[key] = next(rollouts, None)
        return self._rollouts[key]
