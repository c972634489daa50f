"""Crops on their way to the chip, in Redis streams: one lane for each model version and sender."""

from collections.abc import Mapping, Sequence
from typing import Any, Final

import msgpack

from services.chips.store import NOTHING, Following, Lease, Look, read_look
from services.crops.answers import Answer
from services.crops.parcels import Entry, Finished, Lane, Parcel, Span, read_entries
from services.errors import HxserveError
from services.jobs.record import Job
from services.jobs.store import (
    KEEP_KEYS_S,
    Accepted,
    Idempotency,
    flat_fields,
    limit,
    read_acceptance,
    record_fields,
    refusal,
)
from services.scheduling.policy import HALF_LIFE_S
from services.store.connection import Connection, pairs
from services.users.quotas import UNLIMITED, Quotas

NO_KEY: Final = Idempotency()


class CropStore:
    """Takes crops in, hands them to the worker, and takes its answers."""

    def __init__(self, connection: Connection, *, max_waiting: int, keep_results_s: float) -> None:
        self._connection = connection
        self._max_waiting = max_waiting
        self._keep_s = int(keep_results_s)

    def accept(
        self,
        lane: Lane,
        job_id: str,
        parts: Sequence[tuple[int, bytes]],
        *,
        reply_to: str,
        deadline_at: float | None,
        record: Job | None,
        repeats: int = 1,
        idempotency: Idempotency = NO_KEY,
        quotas: Quotas = UNLIMITED,
    ) -> Accepted:
        """Takes the parts of one request, all or none; they are durable when this returns.

        Args:
            lane: where they wait.
            job_id: the request's id, which is also its job's.
            parts: number of crops and bytes of each part.
            reply_to: the stream that the answers go to.
            deadline_at: Unix seconds after which nobody wants the answer.
            record: the job, if one is to be recorded from the start.
            repeats: how often each crop is read.
            idempotency: needs a record.
            quotas: of the sender.

        Raises:
            QueueFullError: too many crops wait.
            QuotaExceededError: too many of the sender wait, or have used the chip too long today.
            IdempotencyConflictError: the key was used for another request.
        """
        fields = flat_fields(record_fields(record, parts=len(parts))) if record else []
        crops = sum(count for count, _ in parts)
        answer = self._connection.run(
            "crops/accept_crops",
            job_id,
            str(lane),
            reply_to,
            _deadline_ms(deadline_at),
            idempotency.key,
            idempotency.digest,
            KEEP_KEYS_S,
            self._max_waiting,
            crops,
            repeats,
            limit(quotas.max_waiting_crops),
            limit(quotas.chip_seconds_per_day),
            len(fields),
            *fields,
            *(value for part in parts for value in part),
        )
        return read_acceptance(answer, self._max_waiting, "crops", quotas)

    def accept_group(
        self, reply_to: str, parcels: Sequence[Parcel]
    ) -> tuple[list[str], list[str | HxserveError]]:
        """Takes several parcels in one step, each whole or not at all; they are durable when this returns.

        Args:
            reply_to: the stream that all their answers go to.
            parcels: what is to be read.

        Returns:
            The chips to wake, and of each parcel its place, or why it has none.
        """
        flat = [
            value
            for parcel in parcels
            for value in (
                parcel.id,
                str(parcel.lane),
                _deadline_ms(parcel.deadline_at),
                parcel.repeats,
                limit(parcel.quotas.max_waiting_crops),
                limit(parcel.quotas.chip_seconds_per_day),
                parcel.count,
                parcel.crops,
            )
        ]
        asleep, places = self._connection.run("crops/accept_group", reply_to, self._max_waiting, *flat)
        return [chip.decode() for chip in asleep], [
            place.decode()
            if isinstance(place, bytes)
            else refusal(place, self._max_waiting, "crops", parcel.quotas)
            for place, parcel in zip(places, parcels, strict=True)
        ]

    def promote(self, lane: Lane, entry: str, record: Job, span: Span) -> bool:
        """Records the job of a request whose client stopped waiting; false if it is done already.

        Args:
            lane: where its crops wait.
            entry: their parcel's place there.
            record: the job.
            span: which of the parcel's crops they are.
        """
        fields = flat_fields(record_fields(record, parts=1))
        crops = f"{span.first} {span.count}"
        return bool(self._connection.run("crops/promote_crops", record.id, str(lane), entry, crops, *fields))

    def claim(self, lease: Lease, grants: Mapping[str, int]) -> list[Entry]:
        """Claims up to so many crops of each lane (a few more where a part is not divided).

        Raises:
            LeaseLostError: the worker no longer holds the chip.
        """
        flat = [value for grant in grants.items() for value in grant]
        return read_entries(self._connection.run("crops/claim_crops", lease.chip, lease.fence, *flat))

    def recover(self, lease: Lease, *, after_death: bool) -> list[Entry]:
        """Claims the unanswered crops of dead workers, and those whose turn was interrupted.

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
        following: Following = NOTHING,
    ) -> Look:
        """Stores the answers of a batch, sends them, charges the users, and looks what there is to do, as one step.

        Args:
            lease: of the worker that ran the batch.
            finished: an answer for each entry.
            replies: by reply stream, what is sent to it.
            charges: seconds of chip time by user.
            following: what is claimed with the look.

        Raises:
            LeaseLostError: the worker no longer holds the chip; nothing was written.
        """
        batch = {
            "entries": [[*_place(f), f.answer, f.ended, f.problem, {}] for f in finished],
            "replies": list(replies.items()),
            "charges": list(charges.items()),
        }
        late, look = self._store(lease, batch, following)
        while late:
            by_place = {(str(f.entry.lane), f.entry.entry): f for f in finished}
            entries = [
                _with_late(by_place[lane.decode(), entry.decode()], jobs) for lane, entry, jobs in late
            ]
            late, look = self._store(lease, {"entries": entries, "replies": [], "charges": []}, following)
        return look

    def _store(self, lease: Lease, batch: Mapping[str, Any], following: Following) -> tuple[list[Any], Look]:
        """Stores answers; gives the entries that stay, as one of their requests became a job meanwhile, and a look."""
        # Redis' own MessagePack knows the format without a type for bytes.
        packed = msgpack.packb(batch, use_bin_type=False)
        late, told = self._connection.run(
            "crops/finish_crops",
            lease.chip,
            lease.fence,
            HALF_LIFE_S,
            self._keep_s,
            following.reference,
            following.most,
            packed,
        )
        return late, read_look(told)


def _place(finished: Finished) -> tuple[str, str, str, int]:
    entry = finished.entry
    return str(entry.lane), entry.entry, entry.id, entry.part


def _with_late(finished: Finished, jobs: Sequence[bytes]) -> list[Any]:
    """An entry as `finish_crops` takes it, with the answers to those of its requests that have a job by now."""
    whole = Answer.unpack(finished.answer) if finished.answer else None
    answers = {}
    for job_id, span in pairs(jobs).items():
        first, count = (int(number) for number in span.split())
        answers[job_id.decode()] = whole.cut(first, count).pack() if whole else b""
    return [*_place(finished), finished.answer, finished.ended, finished.problem, answers]


def _deadline_ms(deadline_at: float | None) -> int:
    return int(deadline_at * 1000) if deadline_at else 0
