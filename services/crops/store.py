"""Crops on their way to the chip, in Redis streams: one lane for each model version and sender."""

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import msgpack

from services.chips.store import Lease
from services.crops.answers import Answer
from services.crops.claims import (
    NO_PREFETCH,
    Backlog,
    Entry,
    Finished,
    Prefetch,
    read_backlog,
    read_entries,
)
from services.crops.lanes import Lane, Span
from services.crops.requests import CropRequest, JobReference
from services.errors import HxserveError
from services.jobs.acceptance import KEEP_KEYS_S, limit, refusal
from services.jobs.record import Job, flat_fields, record_fields
from services.scheduling.policy import HALF_LIFE_S
from services.store.connection import Connection
from services.store.scripts import pairs

_NONE: Final[Mapping[str, int]] = {}


@dataclass(frozen=True, slots=True)
class Acceptance:
    """Crops that are accepted together: `parts` are number of crops and bytes of each, which wait in `lane`.

    `request` is theirs, or the first of those that share an entry; `job` is recorded with them, if there is one.
    `trace` has the spans of those of the requests that are sampled.
    """

    id: str
    lane: Lane
    parts: Sequence[tuple[int, bytes]]
    request: CropRequest
    job: Job | None = None
    trace: bytes = b""

    def fields(self, keep_answers_s: int) -> list[Any]:
        """Return the arguments of `accept_crops.lua`."""
        request, quotas = self.request, self.request.user.quotas
        return [
            self.id,
            str(self.lane),
            request.wait_s > 0,
            int(1000 * (time.time() + request.deadline_s)) if request.deadline_s else 0,
            request.repeats,
            limit(quotas.max_waiting_crops),
            limit(quotas.chip_seconds_per_day),
            request.idempotency.key,
            request.idempotency.digest,
            flat_fields(record_fields(self.job, parts=len(self.parts))) if self.job else [],
            [value for part in self.parts for value in part],
            int(request.extras),
            *self._rare_fields(keep_answers_s),
        ]

    def _rare_fields(self, keep_answers_s: int) -> tuple[Any, ...]:
        """Return the last arguments, which nearly all requests leave out."""
        if not self.request.keep and not self.trace:
            return ()
        most_kept = limit(self.request.user.quotas.kept_crops)
        kept = (keep_answers_s, most_kept) if self.request.keep else (False, False)
        return (*kept, self.trace) if self.trace else kept


class CropStore:
    """Stores waiting crops, their claims by workers, and their answers."""

    def __init__(
        self,
        connection: Connection,
        *,
        max_waiting: int,
        keep_results_s: float,
        keep_answers_s: float | None = None,
    ) -> None:
        self._connection = connection
        self._max_waiting = max_waiting
        self._keep_s = int(keep_results_s)
        self._keep_answers_s = int(keep_answers_s or keep_results_s)

    def accept(
        self, reply_to: str, requests: Sequence[Acceptance]
    ) -> tuple[list[str], list[str | JobReference | HxserveError]]:
        """Accept requests in one step, each whole or not at all; they are durable when this returns.

        Args:
            reply_to: the stream that the answers go to.
            requests: what is to be read.

        Returns:
            The chips to wake; and for each request its (last) entry, the job of an earlier request with the same
            Idempotency-Key, or why it was refused.
        """
        # Redis' own MessagePack knows the format without a type for bytes.
        packed = msgpack.packb(
            [request.fields(self._keep_answers_s) for request in requests], use_bin_type=False
        )
        asleep, outcomes = self._connection.run(
            "crops/accept_crops", reply_to, self._max_waiting, KEEP_KEYS_S, packed
        )
        return [chip.decode() for chip in asleep], [
            self._outcome(outcome, request) for outcome, request in zip(outcomes, requests, strict=True)
        ]

    def _outcome(self, outcome: Sequence[Any], accepted: Acceptance) -> str | JobReference | HxserveError:
        match outcome[0]:
            case b"new":
                entry: bytes = outcome[2]
                return entry.decode()
            case b"same":
                return JobReference(outcome[1].decode(), is_repeated=True)
        return refusal(outcome, self._max_waiting, "crops", accepted.request.user.quotas)

    def promote(self, lane: Lane, entry: str, record: Job, span: Span) -> bool:
        """Record the job of a request whose client stopped waiting; return False if the request is already answered.

        Args:
            lane: where its crops wait.
            entry: theirs there.
            record: the job.
            span: which of the entry's crops they are.
        """
        fields = flat_fields(record_fields(record, parts=1))
        crops = f"{span.first} {span.count}"
        return bool(self._connection.run("crops/promote_crops", record.id, str(lane), entry, crops, *fields))

    def claim(
        self, lease: Lease, grants: Mapping[str, int] = _NONE, prefetch: Prefetch = NO_PREFETCH
    ) -> Backlog:
        """Return the backlog, with crops claimed in the same step, and reset the chip's bell.

        Args:
            lease: of the worker that claims.
            grants: number of crops by lane; a few more are claimed where a part is not divided.
            prefetch: what is claimed where nothing else waits.

        Raises:
            LeaseLostError: the worker no longer holds the chip.
        """
        flat = [value for grant in grants.items() for value in grant]
        return read_backlog(
            self._connection.run(
                "crops/claim_crops", lease.chip, lease.fence, prefetch.reference, prefetch.most, *flat
            )
        )

    def recover(self, lease: Lease, *, after_death: bool) -> list[Entry]:
        """Claim the unanswered crops of dead workers, and those whose turn was interrupted.

        Args:
            lease: of the worker that takes them over.
            after_death: whether the chip's former worker died, so that its crops are claimed once more; those of
                a worker that lives on are still claimed as often as before.

        Raises:
            LeaseLostError: the worker no longer holds the chip.
        """
        return read_entries(
            self._connection.run("crops/recover_crops", lease.chip, lease.fence, int(after_death))
        )

    def finish(
        self,
        lease: Lease,
        finished: Sequence[Finished],
        replies: Mapping[str, bytes],
        charges: Mapping[str, float],
        prefetch: Prefetch = NO_PREFETCH,
    ) -> Backlog:
        """Store the answers of a batch, send them, charge the users and return the backlog, in one step.

        Args:
            lease: of the worker that ran the batch.
            finished: an answer for each entry.
            replies: by reply stream, what is sent to it.
            charges: seconds of chip time by user.
            prefetch: what is claimed in the same step, where nothing else waits.

        Raises:
            LeaseLostError: the worker no longer holds the chip; nothing was written.
        """
        batch = {
            "entries": [[*_place(f), f.answer, f.ended, f.problem, {}] for f in finished],
            "replies": list(replies.items()),
            "charges": list(charges.items()),
        }
        late, backlog = self._store(lease, batch, prefetch)
        while late:
            by_place = {(str(f.entry.lane), f.entry.entry): f for f in finished}
            entries = [
                _with_late(by_place[lane.decode(), entry.decode()], jobs) for lane, entry, jobs in late
            ]
            late, backlog = self._store(lease, {"entries": entries, "replies": [], "charges": []}, prefetch)
        return backlog

    def _store(self, lease: Lease, batch: Mapping[str, Any], prefetch: Prefetch) -> tuple[list[Any], Backlog]:
        """Store answers; return the entries that stay, as one of their requests became a job meanwhile."""
        # Redis' own MessagePack knows the format without a type for bytes.
        packed = msgpack.packb(batch, use_bin_type=False)
        late, seen = self._connection.run(
            "crops/finish_crops",
            lease.chip,
            lease.fence,
            HALF_LIFE_S,
            self._keep_s,
            prefetch.reference,
            prefetch.most,
            packed,
        )
        return late, read_backlog(seen)


def _place(finished: Finished) -> tuple[str, str, str, int]:
    entry = finished.entry
    return str(entry.lane), entry.entry, entry.id, entry.part


def _with_late(finished: Finished, jobs: Sequence[bytes]) -> list[Any]:
    """Return an entry for `finish_crops`, with the answers to its requests that became jobs meanwhile."""
    whole = Answer.unpack(finished.answer) if finished.answer else None
    answers = {}
    for job_id, span in pairs(jobs).items():
        first, count = (int(number) for number in span.split())
        answers[job_id.decode()] = whole.cut(Span(first, count)).pack() if whole else b""
    return [*_place(finished), finished.answer, finished.ended, finished.problem, answers]
