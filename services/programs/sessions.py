"""Sessions of programs, as the API offers them: opened, kept while they are used, ended; and their operations."""

import hashlib
import logging
import threading
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Final

from services.chips.store import ChipRecord, ChipStore
from services.chips.wakeups import WakeUp, wake_all
from services.crops.listener import Listener
from services.errors import (
    CalibrationChangedError,
    ChipInMaintenanceError,
    InvalidInputError,
    NotFoundError,
    SessionEndedError,
    StillWaitingError,
    UnavailableError,
    error_of,
)
from services.jobs.record import Job, JobKind, JobState
from services.jobs.store import JobStore
from services.jobs.submission import LONGEST_KEY, job_for, new_job
from services.programs.operations import Operation, Readouts
from services.programs.store import ProgramStore
from services.programs.turns import in_turns, position_of
from services.users.authentication import User

IDLE_TIMEOUT_S: Final = 600.0
"""A session without an operation for this long ends."""
_WAIT_S: Final = 20.0
_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Session:
    """A session with the chip it is bound to, and the operations that go before its own; None if none waits."""

    job: Job
    chip: ChipRecord
    position: int | None


@dataclass(frozen=True, slots=True)
class OperationQueue:
    """Open sessions, waiting operations, and how many go before a user's next one; None if none of theirs waits."""

    sessions: int
    waiting: int
    position: int | None


class _Waiter:
    """Waits for the answer to one operation, and for the end of its session."""

    def __init__(self) -> None:
        self.answer: bytes | None = None
        self._changed = threading.Event()

    def put(self, part: int, answer: bytes) -> bool:
        """Take the answer."""
        del part
        self.answer = answer
        self._changed.set()
        return True

    def set(self) -> None:
        """Note a change of the session."""
        self._changed.set()

    def wait(self, timeout_s: float) -> bool:
        """Wait for the answer or a change; return False after the time-out."""
        changed = self._changed.wait(timeout_s)
        self._changed.clear()
        return changed


class Programs:
    """Opens sessions for users and runs their operations."""

    def __init__(
        self, store: ProgramStore, jobs: JobStore, chips: ChipStore, listener: Listener, wake_up: WakeUp
    ) -> None:
        self._store = store
        self._jobs = jobs
        self._chips = chips
        self._listener = listener
        self._wake_up = wake_up

    def open(self, user: User, chip: str | None, calibration: str | None, program: str) -> Session:
        """Open a session on a chip: the one named, or the one with the fewest sessions and the least other work.

        Args:
            user: the program's user.
            chip: its name in the service.
            calibration: sha256 of the calibration that the program was written for; None takes the present one.
            program: its name for people.

        Raises:
            NotFoundError: there is no such chip.
            CalibrationChangedError: the chip's calibration is another one now.
            UnavailableError: no chip takes programs now.
            QuotaExceededError: the user has too many sessions, or has used the chip too long today.
        """
        user.check_not_paused()
        record = self._choose(chip)
        present = calibration_of(record)
        if calibration is not None and calibration != present:
            raise CalibrationChangedError(
                f"chip {record.chip} has the calibration {present[:12] or 'none'} now, not {calibration[:12]}; save "
                "the present one (save_nightly_calibration) and repeat what was measured before"
            )
        params = {"chip": record.chip, "calibration": present, "program": program}
        job = replace(new_job(JobKind.PROGRAM, user, "", params), state=JobState.RUNNING)
        self._store.open(job, user.quotas)
        _log.info("session %s of %s opened on %s", job.id, user.name, record.chip)
        return self._session(self._jobs.get(job.id), record)

    def _choose(self, chip: str | None) -> ChipRecord:
        records = {record.chip: record for record in self._chips.records()}
        if chip is not None and chip not in records:
            raise NotFoundError(f"there is no chip {chip!r}; there are: {', '.join(records) or 'none'}")
        wanted = [records[chip]] if chip is not None else list(records.values())
        serving = [record for record in wanted if record.is_serving and record.drain is None]
        if serving:
            open_on = Counter(job.params["chip"] for job in self._jobs.get_many(self._store.sessions()))
            return min(
                serving,
                key=lambda record: (
                    open_on[record.chip],
                    record.status.get("busy_share") or 0.0,
                    record.chip,
                ),
            )
        drained = [record for record in wanted if record.drain is not None]
        if drained and drained[0].drain:
            raise ChipInMaintenanceError(_maintenance(drained[0]), retry_after_s=30.0)
        states = ", ".join(f"{record.chip} is {record.state}" for record in wanted)
        raise UnavailableError(
            f"no chip takes programs now ({states or 'none was ever started'}); try again a little later"
        )

    def show(self, session_id: str, user: User) -> Session:
        """Return a session, open or ended.

        Raises:
            JobNotFoundError: there is none of this id that the user may see.
        """
        job = self._job(session_id, user)
        return self._session(job, self._chips.record(job.params["chip"]))

    def _session(self, job: Job, chip: ChipRecord) -> Session:
        return Session(job, chip, position_of(self._store.waiting(chip.chip), job.id))

    def end(self, session_id: str, user: User) -> Session:
        """End a session; one that has ended stays as it is.

        Raises:
            JobNotFoundError: there is none of this id that the user may see.
        """
        self._store.end([self._job(session_id, user).id], "released by the program")
        return self.show(session_id, user)

    def end_silent(self) -> None:
        """End the sessions that nothing uses any more."""
        for session_id in self._store.end_silent(time.time() - IDLE_TIMEOUT_S, "ended after a long silence"):
            _log.info("session %s ended after a long silence", session_id)

    def open_sessions(self) -> int:
        """Return the number of open sessions."""
        return len(self._store.sessions())

    def waiting(self, chip: str) -> int:
        """Return the number of operations that wait for a chip."""
        return len(self._store.waiting(chip))

    def queue(self, user: str | None) -> OperationQueue:
        """Return the operations that wait for all chips; `position` is that of a user, None without one."""
        waiting = [self._store.waiting(record.chip) for record in self._chips.records()]
        positions = [
            place
            for operations in waiting
            for place, operation in enumerate(in_turns(operations))
            if operations[operation][1] == user
        ]
        return OperationQueue(self.open_sessions(), sum(map(len, waiting)), min(positions, default=None))

    def _job(self, session_id: str, user: User) -> Job:
        job = job_for(self._jobs, session_id, user)
        if job.kind is not JobKind.PROGRAM:
            raise NotFoundError(f"{session_id!r} is no session of a program, but a {job.kind}")
        return job

    def run(self, operation: Operation, user: User, key: str, *, keep: bool) -> Readouts:
        """Run an operation on the chip of its session, and wait for the answer.

        Args:
            operation: checked already.
            user: who sends it.
            key: its Idempotency-Key: the same operation sent again gets the same answer.
            keep: whether the session keeps its weights, so that later operations may name them.

        Raises:
            JobNotFoundError: there is no such session that the user may use.
            SessionEndedError: it has ended.
            StillWaitingError: there is no answer yet.
            WeightsUnknownError: the session does not keep the weights that the operation names.
            HxserveError: why the operation was not accepted, or failed on the chip.
        """
        user.check_not_paused()
        if not 0 < len(key) <= LONGEST_KEY:
            raise InvalidInputError(
                f"an operation needs an Idempotency-Key of 1 to {LONGEST_KEY} characters, a new one for each"
            )
        operation_id = f"{operation.session}:{key}"
        settings = f"{operation.digest} {operation.num_sends} {operation.wait_between_events}"
        digest = hashlib.sha256(operation.inputs)
        digest.update(settings.encode())
        waiter = _Waiter()
        self._listener.expect(operation_id, waiter)
        self._listener.subscribe(operation.session, waiter)
        try:
            outcome = self._accept(operation_id, digest.hexdigest(), operation, user, keep=keep)
            if isinstance(outcome, Readouts):
                return _checked(outcome)
            wake_all(self._wake_up, outcome)
            return _checked(self._wait(waiter, operation.session))
        finally:
            self._listener.unsubscribe(operation.session, waiter)
            self._listener.forget(operation_id)

    def _accept(
        self, operation_id: str, digest: str, operation: Operation, user: User, *, keep: bool
    ) -> Readouts | Sequence[str]:
        try:
            return self._store.accept(
                operation_id, digest, operation, self._listener.reply_to, user, keep=keep
            )
        except SessionEndedError:
            self._job(operation.session, user)  # says if there is none
            raise

    def _wait(self, waiter: _Waiter, session_id: str) -> Readouts:
        until = time.monotonic() + _WAIT_S
        while not self._listener.is_stopping and waiter.wait(until - time.monotonic()):
            if waiter.answer is not None:
                return Readouts.unpack(waiter.answer)
            if self._jobs.get(session_id).state.is_final:
                raise SessionEndedError
        raise StillWaitingError


def _checked(answer: Readouts) -> Readouts:
    if answer.problem:
        raise error_of(answer.problem)
    return answer


def _maintenance(record: ChipRecord) -> str:
    assert record.drain is not None
    since = time.strftime("%Y-%m-%d %H:%M UTC", time.gmtime(record.drain.since))
    message = f": {record.drain.message}" if record.drain.message else ""
    return (
        f"chip {record.chip} is in maintenance since {since}{message}; programs run again when it has ended"
    )


def calibration_of(record: ChipRecord) -> str:
    """Return the sha256 of a chip's calibration; empty without one."""
    return str((record.status.get("calibration") or {}).get("sha256", ""))
