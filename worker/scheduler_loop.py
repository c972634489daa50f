"""The scheduler loop, run by the Celery task `turn`: read the backlog, choose a unit by the policy, run it, repeat."""

import logging
import time
from collections.abc import Callable, Sequence
from typing import Final, assert_never

from services.chips.store import ChipStore, Lease
from services.crops.claims import NO_PREFETCH, Backlog, Entry, Prefetch, backlog_of_bell
from services.crops.lanes import Lane
from services.errors import ChipError, RedisUnavailableError
from services.jobs.record import Job, JobState
from services.jobs.store import JobStore
from services.names import group_of
from services.scheduling.meters import BusyMeter, ShareMeter
from services.scheduling.policy import (
    Charge,
    ClassifyBatch,
    LongJob,
    MeasureCanary,
    Policy,
    RunOperation,
    RunSlice,
    Situation,
    Unit,
    WaitingCrops,
    charge_now_s,
    goes_on,
    next_unit,
)
from worker.batches import Batches
from worker.chip_maintenance import ChipMaintenance
from worker.long_work import LongWork
from worker.operations import Operations
from worker.time_accounting import TimeAccount
from worker.trials import Trials

_SHORTEST_WAIT_S: Final = 0.01
_PAUSE_S: Final = 0.2
_LONGEST_TURN_S: Final = 300.0
"""Opening a real chip again may take minutes."""

_log = logging.getLogger(__name__)


class SchedulerLoop:
    """Runs units of work on the chip; a turn of the loop ends after about `turn_s`."""

    def __init__(
        self,
        lease: Lease,
        chips: ChipStore,
        jobs: JobStore,
        batches: Batches,
        operations: Operations,
        long_work: LongWork,
        maintenance: ChipMaintenance,
        policy: Policy,
        *,
        turn_s: float,
        account: TimeAccount | None = None,
        take_over: Callable[[str], None] | None = None,
        trials: Trials | None = None,
    ) -> None:
        self._lease = lease
        self._chips = chips
        self._jobs = jobs
        self._batches = batches
        self._operations = operations
        self._long_work = long_work
        self._maintenance = maintenance
        self._policy = policy
        self._turn_s = turn_s
        self._take_over = take_over
        self._trials = trials
        self._account = account or TimeAccount()
        self._crops_went_last = False
        self._meter = ShareMeter()
        self._busy, self._programs = BusyMeter(), BusyMeter()
        self._noted_at = time.monotonic()
        self._rests = True
        """Whether the chip has been idle since time was last recorded."""
        self._unfinished: dict[str, Job] = {}
        self._seen: Backlog | None = None
        """The next backlog, if the previous unit has already read it."""
        self._long_revision = -1
        self._may_have_lost_claims = True
        """Whether the previous turn was interrupted, so that claimed crops may lack answers."""
        self._is_new = True
        """True until the previous worker's claims have been recovered."""
        self.have_begun = False
        """Whether the first turn has begun, so that the chip serves."""
        self._began: float | None = None
        self._ends = 0.0
        self.last_seen = time.monotonic()
        """Monotonic time at which a turn was last active, watched by the heartbeat."""

    def run(self) -> bool:
        """Run one turn; return whether work is left for another.

        Raises:
            LeaseLostError: the worker no longer holds the chip.
        """
        with self._account.doing("choosing"):
            return self._run()

    def _run(self) -> bool:
        self._began = time.monotonic()
        self._seen = None
        self._ends = self._began + self._turn_s
        may_have_lost_claims, self._may_have_lost_claims = self._may_have_lost_claims, True
        is_new, self._is_new = self._is_new, False
        try:
            absent = self._chips.absent()
            if may_have_lost_claims or absent:
                self._batches.recover(time.time(), after_death=is_new)
            for chip in absent:
                self._take_over_jobs(chip)
            self._maintenance.see_to_calibration()
            while (left_s := self._ends - time.monotonic()) > 0 or self._has_claims:
                self.last_seen = time.monotonic()
                look, self._seen = self._seen or self._batches.look(self._prefetch), None
                unit = look.claimed or self._choose(look)
                if unit:
                    self._run_unit(unit, look)
                    continue
                self._rests = True
                left_s = self._read_trials(left_s)
                if left_s < _SHORTEST_WAIT_S or not self._wait_for_bell(left_s):
                    break
            self._may_have_lost_claims = False
            return self._chips.end_turn(self._lease) or self._trials_wait
        except RedisUnavailableError as error:
            _log.warning("the turn is interrupted: %s", error.message)
            time.sleep(_PAUSE_S)
            return False
        except ChipError as error:
            _log.warning("the turn is interrupted, the chip failed: %s", error.message)
            time.sleep(_PAUSE_S)
            return True
        finally:
            self._began = None
            self.last_seen = time.monotonic()

    def _take_over_jobs(self, chip: str) -> None:
        """Requeue the running jobs of a chip without a worker."""
        left = (
            job.provenance.get("chip") for job in self._unfinished.values() if job.state is JobState.RUNNING
        )
        if self._take_over and chip in set(left):
            self._take_over(chip)

    def last_active(self) -> float:
        """Return when a turn was last active; now during a turn, unless that takes impossibly long."""
        now, began = time.monotonic(), self._began
        return now if began is not None and now - began < _LONGEST_TURN_S else self.last_seen

    @property
    def busy_share(self) -> float:
        """The recent share of time not available to long work, 0..1."""
        return self._busy.after(self._rested_s)

    @property
    def programs_share(self) -> float:
        """The part of `busy_share` for operations of programs."""
        return self._programs.after(self._rested_s)

    @property
    def _rested_s(self) -> float:
        return time.monotonic() - self._noted_at if self._rests else 0.0

    @property
    def _has_claims(self) -> bool:
        return self._seen is not None and bool(self._seen.claimed)

    @property
    def _prefetch(self) -> Prefetch:
        """The crops to claim together with reading the backlog: see `goes_on`."""
        may_claim = time.monotonic() < self._ends and goes_on(canary_is_due=self._maintenance.canary_is_due)
        return self._batches.prefetch if may_claim else NO_PREFETCH

    def _choose(self, look: Backlog) -> Unit | None:
        if look.long_revision != self._long_revision:
            self._unfinished = {job.id: job for job in self._jobs.unfinished()}
            self._long_revision = look.long_revision
        if look.drain and look.drain.running == "pause":
            self._long_work.put_back(self._unfinished.values(), look.drain.message)
        return next_unit(self._situation(look), self._policy)

    def _situation(self, look: Backlog) -> Situation:
        waiting = []
        for name, (crops, _, oldest_at) in look.waiting.items():
            lane = Lane.parse(name)
            if self._batches.may_read(lane):
                waiting.append(WaitingCrops(lane.reference, lane.user, crops, oldest_at))
        charged = dict(look.charged)
        jobs = [job for job in self._unfinished.values() if self._long_work.may_run(job, look.drain)]
        for user in {job.user for job in jobs}:
            for name in {user, group_of(user)}:
                before_s = charge_now_s(name, charged, look.now, self._policy)
                charged[name] = Charge(before_s + self._long_work.unrecorded_s(user), look.now)
        return Situation(
            now=look.now,
            waiting=waiting,
            operations=self._operations.waiting(look.operations),
            crops_went_last=self._crops_went_last,
            jobs=[LongJob(job.id, job.user, job.created_at, job.kind.is_maintenance) for job in jobs],
            charged=charged,
            on_chip=self._batches.on_chip,
            long_share=self._meter.long_share,
            canary_is_due=self._maintenance.canary_is_due,
        )

    def _run_unit(self, unit: Unit | Sequence[Entry], look: Backlog) -> None:
        started, now = time.monotonic(), look.now
        if self._rests:
            for meter in (self._busy, self._programs):
                meter.note(started - self._noted_at, 0.0)
            self._rests, self._noted_at = False, started
        worked_s = 0.0
        match unit:
            case ClassifyBatch():
                claimed = self._batches.claim(unit.reference, unit.grants)
                self._seen = self._batches.run(claimed, now, self._prefetch)
                self._crops_went_last = True
            case RunOperation():
                self._seen = self._operations.run(unit.operation_id, look, self._prefetch)
                self._crops_went_last = False
            case RunSlice():
                job = self._unfinished[unit.job_id]
                worked_s = self._long_work.run_slice(
                    job, unit.quantum_s, unit.yields_after_s, self._crops_wait
                )
            case MeasureCanary():
                with self._account.doing("care"):
                    self._maintenance.measure_canary()
                worked_s = time.monotonic() - started
            case Sequence():
                self._seen = self._batches.run(unit, now, self._prefetch)
                self._crops_went_last = True
            case _:
                assert_never(unit)
        ended = time.monotonic()
        elapsed_s = ended - self._noted_at
        self._note(elapsed_s, worked_s, ended - started if isinstance(unit, RunSlice) else 0.0)
        self._programs.note(elapsed_s, elapsed_s if isinstance(unit, RunOperation) else 0.0)
        self._noted_at = ended

    def _note(self, elapsed_s: float, worked_s: float, slice_s: float) -> None:
        """Record all time since the previous unit: the share of long work is a share of time, not of units."""
        self._meter.note(max(0.0, elapsed_s - worked_s), is_long=False)
        self._meter.note(worked_s, is_long=True)
        self._busy.note(elapsed_s, elapsed_s - slice_s)

    @property
    def _trials_wait(self) -> bool:
        return self._trials is not None and self._trials.wait

    def _read_trials(self, left_s: float) -> float:
        """Let candidates read crops until something else waits; return the seconds left of the turn."""
        if self._trials is None:
            return left_s
        while self._trials.wait and left_s > 0 and not self._crops_wait():
            self._trials.step()
            left_s = self._ends - time.monotonic()
        self._trials.keep()
        return left_s

    def _wait_for_bell(self, timeout_s: float) -> bool:
        with self._account.doing("idle"):
            rung = self._chips.wait_for_bell(self._lease.chip, timeout_s)
        self._seen = backlog_of_bell(rung) if rung else None
        return rung is not None

    def _crops_wait(self) -> bool:
        return self._chips.bell_rang(self._lease.chip)
