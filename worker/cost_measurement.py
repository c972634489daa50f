"""Measurement of the cost of long work, for the cost model in `services/scheduling/costs.py`."""

import logging
from collections.abc import Callable
from typing import Final

from services.jobs.mixtures import CropsOf, no_stored_crops
from services.jobs.record import Job
from services.jobs.workloads import Workload, workload_of
from services.scheduling.costs import CostStore, Pace, learn

_FIXED_WEIGHT_S: Final = 5.0
"""The weight of one job's fixed time."""
_LEAST_S: Final = 0.02
"""Less work than this is not measured: the clock and the processor's load would dominate."""
_log = logging.getLogger(__name__)


class Measurement:
    """Unrecorded work of a job: mini-batches and seconds by execution, and upkeep between them."""

    def __init__(self) -> None:
        self.by_execution: dict[str, tuple[int, float]] = {}
        self.upkeep_s = 0.0

    def add(self, execution: str, steps: int, seconds: float) -> None:
        """Count mini-batches; none, where files were read until one is there."""
        before, before_s = self.by_execution.get(execution, (0, 0.0))
        self.by_execution[execution] = before + steps, before_s + seconds

    @property
    def seconds(self) -> float:
        """Of all mini-batches."""
        return sum(seconds for _, seconds in self.by_execution.values())


class CostMeter:
    """Learns the pace of work from the jobs of this worker."""

    def __init__(
        self,
        store: CostStore,
        backend: str,
        auto_dataset: Callable[[], str],
        stored: CropsOf = no_stored_crops,
    ) -> None:
        self._store = store
        self._backend = backend
        self._auto_dataset = auto_dataset
        self._stored = stored
        self._paces: dict[str, Pace] | None = None
        self._warm: set[str] = set()

    def plan(self, job: Job) -> Workload:
        """Return the mini-batches of a job here."""
        return workload_of(job, self._backend, self._auto_dataset(), self._stored)

    def note(self, workload: Workload, measurement: Measurement) -> None:
        """Update the paces from a measurement; one round trip to Redis.

        Raises:
            RedisUnavailableError: Redis does not answer.
        """
        seconds = measurement.seconds
        if seconds < _LEAST_S:
            return
        learned = {}
        for phase in workload.phases:
            steps, own_s = measurement.by_execution.get(phase.execution, (0, 0.0))
            if own_s < _LEAST_S:
                continue
            measured_s = own_s * (1 + measurement.upkeep_s / seconds)
            for kind in (phase.kind, phase.wider_kind):
                learned[kind] = learn(
                    self._known.get(kind), measured_s, steps * phase.reference_s, weight_s=measured_s
                )
        self._keep(learned)

    def note_fixed(self, workload: Workload, seconds: float) -> None:
        """Update the pace of a job's fixed time, outside its mini-batches.

        The first of its kind in a process does not count: it imports modules and reads the data set, which later ones
        find in memory.

        Raises:
            RedisUnavailableError: Redis does not answer.
        """
        kind = workload.fixed_kind
        if kind not in self._warm:
            self._warm.add(kind)
            return
        known = self._known.get(kind)
        self._keep({kind: learn(known, max(seconds, 1e-4), workload.fixed_s, weight_s=_FIXED_WEIGHT_S)})

    @property
    def _known(self) -> dict[str, Pace]:
        if self._paces is None:
            self._paces = self._store.paces()
        return self._paces

    def _keep(self, learned: dict[str, Pace]) -> None:
        if learned:
            self._known.update(learned)
            self._store.keep(learned)
