"""Sessions of programs and their operations in Redis."""

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Final, Self

import msgpack

from services.chips.store import Lease
from services.crops.claims import NO_PREFETCH, Backlog, Prefetch, read_backlog, read_waiting_operation
from services.errors import (
    ChipInMaintenanceError,
    HxserveError,
    JobCrashedError,
    QueueFullError,
    SessionEndedError,
    WeightsUnknownError,
)
from services.jobs.acceptance import limit, refusal
from services.jobs.record import Job, flat_fields, record_fields
from services.programs.operations import Operation, Readouts
from services.scheduling.policy import CREDIT_S, HALF_LIFE_S
from services.store import keys
from services.store.connection import Connection
from services.tracing.traces import carried
from services.users.authentication import User
from services.users.quotas import Quotas

KEEP_ANSWERS_S: Final = 120
"""How long the answer to an operation is kept for a client that asks again."""
_KEEP_REQUESTS_S: Final = 3600
MOST_WAITING: Final = 256
"""Operations that wait for one chip: of up to 8 MiB each, in the memory of Redis."""


@dataclass(frozen=True, slots=True)
class Claimed:
    """An operation that a worker claimed; `claims` counts the workers that did, this one included.

    `trace` is the span of its request, if that is sampled.
    """

    operation: Operation
    claims: int
    trace: bytes = b""

    @classmethod
    def of(cls, found: Sequence[Any]) -> Self:
        """Return an operation as the scripts give it."""
        request, claims, *trace = found
        return cls(Operation.unpack(request), int(claims), *trace)


class ProgramStore:
    """Opens and ends sessions; accepts, claims and answers operations."""

    def __init__(self, connection: Connection, *, keep_jobs_s: float) -> None:
        self._connection = connection
        self._keep_s = int(keep_jobs_s)

    def open(self, job: Job, quotas: Quotas) -> None:
        """Record an open session.

        Raises:
            QuotaExceededError: its user has too many open, or has used the chip too long today.
        """
        answer = self._connection.run(
            "programs/open_session",
            job.id,
            job.user,
            limit(quotas.max_queued_jobs),
            limit(quotas.chip_seconds_per_day),
            HALF_LIFE_S,
            CREDIT_S,
            *flat_fields(record_fields(job)),
        )
        if answer[0] != b"new":
            raise refusal(answer, 0, "sessions", quotas)

    def end(self, session_ids: Iterable[str], reason: str) -> None:
        """End sessions; those that have ended stay as they are."""
        self._end("", reason, session_ids)

    def end_silent(self, idle_before: float, reason: str) -> list[str]:
        """End the sessions without an operation since `idle_before`, in Unix seconds; return their ids."""
        return self._end(f"{idle_before:.3f}", reason)

    def _end(self, idle_before: str, reason: str, session_ids: Iterable[str] = ()) -> list[str]:
        event = json.dumps({"type": "state", "state": "succeeded", "reason": reason})
        ended = self._connection.run("programs/end_sessions", self._keep_s, event, idle_before, *session_ids)
        return [session_id.decode() for session_id in ended]

    def sessions(self) -> list[str]:
        """Return the ids of the open sessions."""
        ids: Any = self._connection.client.zrange(keys.PROGRAMS, 0, -1)
        return [session_id.decode() for session_id in ids]

    def waiting(self, chip: str) -> dict[str, tuple[str, str, float]]:
        """Return the operations that wait for a chip, with session, user and arrival time in Unix seconds."""
        stored: Any = self._connection.client.hgetall(keys.operations_key(chip))
        return {operation.decode(): read_waiting_operation(text) for operation, text in stored.items()}

    def accept(
        self,
        operation_id: str,
        digest: str,
        operation: Operation,
        reply_to: str,
        user: User,
        *,
        keep: bool,
    ) -> Readouts | Sequence[str]:
        """Accept an operation, once.

        Args:
            operation_id: its name; the same operation sent again has the same.
            digest: of the request, which the same name must not be used for another.
            operation: the operation.
            reply_to: the stream that the answer goes to.
            user: who sends it.
            keep: whether the session keeps its weights.

        Returns:
            The answer, if it was answered before; else the chips to wake.

        Raises:
            SessionEndedError: the user has no such open session.
            ChipInMaintenanceError: the chip takes none now.
            WeightsUnknownError: the session does not keep the weights that it names.
            IdempotencyConflictError: the name was used for another operation.
            QueueFullError: too many operations wait.
            QuotaExceededError: the user has used the chip too long today.
        """
        named = keep or not operation.weights
        outcome = self._connection.run(
            "programs/accept_operation",
            operation.session,
            operation_id,
            digest,
            reply_to,
            limit(user.quotas.chip_seconds_per_day),
            MOST_WAITING,
            operation.digest if named else "",
            operation.weights if keep else b"",
            _KEEP_REQUESTS_S,
            operation.pack(),
            "" if user.is_admin else user.name,
            *filter(None, [carried()]),
        )
        match outcome[0]:
            case b"waiting":
                return [chip.decode() for chip in outcome[1]]
            case b"answered":
                [(_, _, answer)] = msgpack.unpackb(outcome[1])
                return Readouts.unpack(answer)
        raise _refusal(outcome, user.quotas)

    def weights(self, session: str, digest: str) -> bytes | None:
        """Return weights that a session keeps; None if they are gone."""
        stored: Any = self._connection.client.hget(keys.weights_key(session), digest)
        return stored if stored is None else bytes(stored)

    def claim(self, lease: Lease, operation_id: str) -> Claimed | None:
        """Return an operation for a worker to run; None if its session has ended.

        It waits until it is answered: another worker claims it after this one's death.

        Raises:
            LeaseLostError: the worker no longer holds the chip.
        """
        found = self._connection.run("programs/claim_operation", lease.chip, lease.fence, operation_id)
        return Claimed.of(found) if found else None

    def finish(
        self,
        lease: Lease,
        operation_id: str,
        user: str,
        session: str,
        answer: Readouts,
        charged_s: float,
        prefetch: Prefetch = NO_PREFETCH,
    ) -> Backlog:
        """Store and send an answer, charge the user, and return the backlog with its `prefetch`, in one step.

        A refusal is sent and not kept, so that the operation sent again is run, unless it is one that ends its workers.

        Raises:
            LeaseLostError: the worker no longer holds the chip; nothing was written.
        """
        is_kept = answer.problem is None or answer.problem["code"] == JobCrashedError.code
        return read_backlog(
            self._connection.run(
                "programs/finish_operation",
                lease.chip,
                lease.fence,
                operation_id,
                session,
                user,
                msgpack.packb([(operation_id, 0, answer.pack())]),
                charged_s,
                HALF_LIFE_S,
                KEEP_ANSWERS_S if is_kept else 0,
                prefetch.reference,
                prefetch.most,
            )
        )


def _refusal(outcome: Sequence[Any], quotas: Quotas) -> HxserveError:
    match outcome[0]:
        case b"closed":
            return SessionEndedError()
        case b"unknown":
            return WeightsUnknownError()
        case b"drained":
            message = json.loads(outcome[1])["message"]
            return ChipInMaintenanceError(
                f"the chip is in maintenance{message and ': '}{message}; the operation was not run, send it again",
                retry_after_s=5.0,
            )
        case b"full":
            return QueueFullError(
                "too many operations wait for the chip; send this one again", retry_after_s=1.0
            )
    return refusal(outcome, 0, "operations", quotas)
