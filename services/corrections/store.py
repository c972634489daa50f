"""Corrections in Redis; every change is one atomic step."""

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

import msgpack

from services.corrections.accuracy import VersionAccuracy
from services.corrections.record import Correction, Outcome, outcome_of
from services.cursors import Place
from services.errors import AnswerNotKeptError, ConflictError, CorrectionNotFoundError
from services.jobs.acceptance import limit, refusal
from services.jobs.record import flat_fields
from services.store import keys
from services.store.connection import Connection
from services.users.authentication import User


class CorrectionStore:
    """Reads and writes the corrections of users."""

    def __init__(self, connection: Connection, *, keep_corrections_s: float) -> None:
        self._connection = connection
        self.keep_s = int(keep_corrections_s)
        """Retention of an open correction, seconds."""

    def add(
        self,
        user: User,
        correction_id: str,
        digit: int | None,
        part: int,
        place: int,
        facts: Mapping[str, Any],
    ) -> Correction:
        """Keep a correction of an answer of the user; a later one of the same crop replaces it.

        Args:
            user: the sender of the crop.
            correction_id: of the crop's correction.
            digit: the right digit, None for none.
            part: of the answer.
            place: number of the crop in its part.
            facts: what the chip answered: `answer`, `index`, `read`, `confidence`, `model` and `version`.

        Raises:
            AnswerNotKeptError: the crop is not kept, or not any more.
            QuotaExceededError: too many corrections of the user are open.
        """
        outcome = outcome_of(digit, facts["read"])
        answer = self._connection.run(
            "corrections/add_correction",
            user.name,
            correction_id,
            facts["answer"],
            part,
            place,
            self.keep_s,
            limit(user.quotas.open_corrections),
            _text(digit),
            f"{facts['model']}@{facts['version']}:{outcome}",
            *flat_fields({name: str(value) for name, value in facts.items()}),
            "source",
            "answer",
        )
        if answer[0] == b"gone":
            raise AnswerNotKeptError(f"the crops of {facts['answer']} are not kept (any more)")
        _raise_refusal(answer, user)
        return self._get(correction_id)

    def add_labelled(self, user: User, labelled: Sequence[Correction]) -> None:
        """Keep crops that came with their labels, all or none; one that is open already gets the new label.

        Raises:
            QuotaExceededError: too many corrections of the user would be open.
        """
        packed = msgpack.packb(
            [
                [c.id, c.crop, ["digit", _text(c.digit), "source", c.source, "counts_as", ""]]
                for c in labelled
            ],
            use_bin_type=False,  # Redis' own MessagePack knows the format without a type for bytes
        )
        most = limit(user.quotas.open_corrections)
        _raise_refusal(
            self._connection.run("corrections/add_labelled", user.name, self.keep_s, most, packed), user
        )

    def delete(self, user: User, correction_id: str) -> None:
        """Withdraw an open correction; it is not counted any more.

        Raises:
            CorrectionNotFoundError: the user has none of this id.
            ConflictError: it is closed.
        """
        found: bytes = self._connection.run("corrections/delete_correction", user.name, correction_id)
        match found.decode():
            case "done":
                return
            case "missing":
                raise CorrectionNotFoundError(f"there is no correction {correction_id!r} of yours")
            case version:
                raise ConflictError(f"the correction {correction_id!r} is closed: its crop is in {version}")

    def open(self, user: User, count: int, before: Place | None = None) -> list[Correction]:
        """Return open corrections of a user, the newest word first, those after the place `before`."""
        found: Any = self._connection.client.zrange(
            keys.corrections_of(user.name),
            f"{before[0] + self.keep_s:.6f}" if before else "+inf",
            "-inf",
            desc=True,
            byscore=True,
            offset=0,
            num=count + 1,
        )
        corrections = self._get_many([correction_id.decode() for correction_id in found])
        return [c for c in corrections if before is None or (c.at, c.id) < before][:count]

    def close(self, user: User, corrections: Sequence[Correction], version: str) -> int:
        """Mark corrections as closed into a version of a data set; return their number.

        One that was changed since it was read stays open.
        """
        read = [text for c in corrections for text in (c.id, f"{c.at:.6f}")]
        closed: int = self._connection.run("corrections/close_corrections", user.name, version, *read)
        return closed

    def forget_kept(self, user: User) -> int:
        """Delete the crops that are kept of a user; return the number of answers."""
        forgotten: int = self._connection.run("corrections/forget_kept", user.name)
        return forgotten

    def given(self) -> dict[tuple[str, str, str], int]:
        """Return the number of corrections ever given, by model, version and outcome; it never falls."""
        return {
            (model, version, outcome): count
            for (model, version, outcome, change), count in self._counts().items()
            if change == "given"
        }

    def accuracies(self) -> list[VersionAccuracy]:
        """Return the outcomes of each version with corrections, without those that were replaced or withdrawn."""
        outcomes: dict[tuple[str, str], Counter[str]] = {}
        for (model, version, outcome, change), count in self._counts().items():
            outcomes.setdefault((model, version), Counter())[outcome] += (
                count if change == "given" else -count
            )
        return [
            VersionAccuracy(model, version, *(counts[outcome] for outcome in Outcome))
            for (model, version), counts in sorted(outcomes.items())
        ]

    def _counts(self) -> dict[tuple[str, str, str, str], int]:
        stored: Any = self._connection.client.hgetall(keys.CORRECTED)
        counts = {}
        for name, count in stored.items():
            origin, outcome, change = name.decode().split(":")
            model, version = origin.split("@")
            counts[model, version, outcome, change] = int(count)
        return counts

    def _get(self, correction_id: str) -> Correction:
        stored: Any = self._connection.client.hgetall(keys.correction_key(correction_id))
        if b"at" not in stored:
            raise CorrectionNotFoundError(f"the correction {correction_id!r} has expired")
        return Correction.from_hash(correction_id, stored)

    def _get_many(self, correction_ids: Sequence[str]) -> list[Correction]:
        with self._connection.client.pipeline(transaction=False) as pipeline:
            for correction_id in correction_ids:
                pipeline.hgetall(keys.correction_key(correction_id))
            return [
                Correction.from_hash(correction_id, stored)
                for correction_id, stored in zip(correction_ids, pipeline.execute(), strict=True)
                if b"crop" in stored
            ]


def _text(digit: int | None) -> str:
    return "" if digit is None else str(digit)


def _raise_refusal(answer: Sequence[Any], user: User) -> None:
    if answer[0] != b"done":
        raise refusal(answer, 0, "corrections", user.quotas)
