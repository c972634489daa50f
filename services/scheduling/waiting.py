"""The outlook of long jobs: position, beginning and end; also for a job that is not submitted yet."""

import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Final

from services.chips.store import ChipRecord, ChipStore
from services.errors import HxserveError
from services.jobs.mixtures import CropsOf
from services.jobs.params import Params
from services.jobs.record import Job, JobKind, JobState
from services.jobs.store import JobStore
from services.jobs.workloads import Workload, plan_work, workload_of
from services.names import group_of
from services.scheduling.costs import Cost, CostStore, Pace, cost_of
from services.scheduling.forecast import Ahead, Expectation, Span, Supply, foresee, supply_of
from services.scheduling.policy import Charge, LongJob, Policy, charge_now_s, newcomer_charge_s
from services.scheduling.turns import queue_order

_FRESH_S: Final = 0.5
_LATELY_S: Final = 120.0
_MORE_TO_COME: Final = 0.5
"""The most work still expected, as a part of the work submitted lately."""
_MANY: Final = 100
_PAUSES: Final = 4.0
"""The forecast of a queue with more jobs is made at most a fifth of the time."""


@dataclass(frozen=True, slots=True)
class Outlook:
    """The outlook of a job: its position among the long jobs, beginning and end; None if unknown."""

    position: int | None = None
    of: int = 0
    start: Span | None = None
    finish: Span | None = None


@dataclass(frozen=True, slots=True)
class Prospect:
    """The prospect of a job that is not submitted yet: its chip time and outlook."""

    cost: Cost | None
    outlook: Outlook


@dataclass(frozen=True, slots=True)
class Conditions:
    """The chips that take long work: their backend, data set and supply of time."""

    backend: str
    dataset: str
    supply: Supply


@dataclass(frozen=True, slots=True)
class Forecast:
    """The queue of long work at one instant, and the expectations from it.

    Attributes:
        made_at: By the monotonic clock.
        took_s: How long it took to make.
        revision: Of the set of unfinished long jobs.
        unfinished: Those jobs.
        conditions: None while no chip takes long work.
    """

    made_at: float
    took_s: float
    revision: int
    unfinished: Mapping[str, Job]
    ahead: Sequence[Ahead]
    charged: Mapping[str, Charge]
    paces: Mapping[str, Pace]
    conditions: Conditions | None
    positions: Mapping[str, int] = field(default_factory=dict)
    expectations: Mapping[str, Expectation] = field(default_factory=dict)


class Waiting:
    """Makes forecasts; each serves all requests within half a second, unless the queue changes."""

    def __init__(
        self, jobs: JobStore, chips: ChipStore, costs: CostStore, policy: Policy, stored: CropsOf
    ) -> None:
        self._jobs = jobs
        self._chips = chips
        self._costs = costs
        self._policy = policy
        self._stored = stored
        self._forecast: Forecast | None = None
        self._making = threading.Lock()
        self._workloads: dict[str, Workload] = {}

    def outlook(self, job: Job) -> Outlook:
        """Return the outlook of a job."""
        if not job.kind.is_long or job.state.is_final:
            return Outlook()
        forecast = self.forecast(job.id)
        age_s = time.monotonic() - forecast.made_at
        expected = forecast.expectations.get(job.id)
        waits = job.state is JobState.QUEUED
        return Outlook(
            position=forecast.positions.get(job.id) if waits else None,
            of=len(forecast.positions),
            start=_later(expected.start, age_s) if expected and waits else None,
            finish=_later(expected.finish, age_s) if expected else None,
        )

    def prospect(self, kind: JobKind, params: Params, user: str) -> Prospect:
        """Return the prospect of a job of this user, if it were submitted now."""
        forecast, now = self.forecast(), time.time()
        job = LongJob("\uffff", user, now, kind.is_maintenance)
        charged = self._charged_after(job, forecast, now)
        positions = self._positions([*(each.job for each in forecast.ahead), job], charged, now)
        outlook = Outlook(positions[job.id], len(positions))
        conditions = forecast.conditions
        if conditions is None:
            return Prospect(None, outlook)
        workload = plan_work(kind, params, "", conditions.backend, conditions.dataset, self._stored)
        cost = cost_of(workload, forecast.paces)
        ahead = [*forecast.ahead, Ahead(job, cost)]
        expected = foresee(ahead, charged, now, self._policy, conditions.supply)[job.id]
        return Prospect(cost, replace(outlook, start=expected.start, finish=expected.finish))

    def forecast(self, job_id: str | None = None) -> Forecast:
        """Return the current forecast, which includes this job if it is unfinished.

        A long queue, whose forecast takes long, is forecast less often; a new job may be missing from it.
        """
        revision = self._jobs.long_revision()
        # Callers that come while one is made get that one.
        with self._making:
            known = self._forecast
            if known is None or not self._serves(known, revision, job_id):
                known = self._forecast = self._make(revision)
            return known

    def _serves(self, known: Forecast, revision: int, job_id: str | None) -> bool:
        age_s = time.monotonic() - known.made_at
        if len(known.unfinished) > _MANY and age_s < _PAUSES * known.took_s:
            return True
        is_new = job_id is not None and job_id not in known.unfinished
        return known.revision >= revision and age_s < _FRESH_S and not is_new

    def _charged_after(self, job: LongJob, forecast: Forecast, now: float) -> dict[str, Charge]:
        """Return the charges after this job is accepted."""
        charged = dict(forecast.charged)
        users = {each.job.user for each in forecast.ahead if not each.job.is_maintenance}
        if job.is_maintenance:
            return charged
        group = group_of(job.user)
        groups = {group_of(user) for user in users}
        mates = {user for user in users if group_of(user) == group}
        for newcomer, others in ((group, groups), (job.user, mates)):
            if others and newcomer not in others:
                least_s = min(charge_now_s(other, charged, now, self._policy) for other in others)
                own_s = charge_now_s(newcomer, charged, now, self._policy)
                charged[newcomer] = Charge(newcomer_charge_s(own_s, least_s), now)
        return charged

    def _make(self, revision: int) -> Forecast:
        began, now = time.monotonic(), time.time()
        unfinished = self._jobs.unfinished()
        charged = self._jobs.charged()
        conditions = _conditions(self._chips.records(), self._policy)
        paces = self._costs.paces()
        ahead = [
            Ahead(
                _as_long(job), self._cost_left(job, conditions, paces) if conditions else Cost(0.0, 0.0, 0.0)
            )
            for job in unfinished
        ]
        if conditions:
            supply = replace(conditions.supply, newcomer_s=_more_to_come_s(ahead, now))
            conditions = replace(conditions, supply=supply)
        self._workloads = {job.id: self._workloads[job.id] for job in unfinished if job.id in self._workloads}
        positions = self._positions([each.job for each in ahead], charged, now)
        expectations = foresee(ahead, charged, now, self._policy, conditions.supply) if conditions else {}
        return Forecast(
            made_at=began,
            took_s=time.monotonic() - began,
            revision=revision,
            unfinished={job.id: job for job in unfinished},
            ahead=ahead,
            charged=charged,
            paces=paces,
            conditions=conditions,
            positions=positions,
            expectations=expectations,
        )

    def _positions(self, jobs: list[LongJob], charged: Mapping[str, Charge], now: float) -> dict[str, int]:
        order = queue_order(jobs, charged, now, self._policy)
        return {job_id: place for place, job_id in enumerate(order, 1)}

    def _cost_left(self, job: Job, conditions: Conditions, paces: Mapping[str, Pace]) -> Cost:
        workload = self._workloads.get(job.id)
        # The worker counts the crops of a batch job when it takes it up.
        counted = job.metrics.get("steps_total") if job.kind is JobKind.BATCH else None
        if workload is None or (counted or workload.steps) != workload.steps:
            try:
                workload = workload_of(job, conditions.backend, conditions.dataset, self._stored)
            except (
                HxserveError
            ):  # its params are an older release's or its data set is gone: it fails when taken up
                workload = Workload((), "", 0.0)
            self._workloads[job.id] = workload
        return cost_of(workload.after(round(job.progress * workload.steps)), paces)


def _more_to_come_s(ahead: Sequence[Ahead], now: float) -> float:
    """Return the chip time, in seconds, of work still expected, in proportion to recent submissions."""
    return _MORE_TO_COME * sum(
        each.cost.median_s * max(0.0, 1 - (now - each.job.created_at) / _LATELY_S)
        for each in ahead
        if not each.job.is_maintenance
    )


def _as_long(job: Job) -> LongJob:
    return LongJob(job.id, job.user, job.created_at, job.kind.is_maintenance)


def _later(span: Span, seconds: float) -> Span:
    return Span(max(0.0, span.earliest_s - seconds), max(0.0, span.latest_s - seconds))


def _conditions(records: list[ChipRecord], policy: Policy) -> Conditions | None:
    """Return the conditions of the chips that take long work, without drained ones: the end of a drain is unknown.

    The first one's backend counts for all; chips side by side are of one make.
    """
    serving = [record for record in records if record.is_serving and record.drain is None]
    if not serving:
        return None
    busy, programs = (
        sum(float(record.status.get(name, 0.0)) for record in serving) / len(serving)
        for name in ("busy_share", "programs_share")
    )
    status = serving[0].status
    return Conditions(
        backend=str(status.get("backend") or "mock"),
        dataset=str(status.get("dataset") or "digits"),
        supply=supply_of(busy, programs, len(serving), policy),
    )
