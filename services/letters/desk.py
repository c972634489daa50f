"""The coding desk: letters that a letter centre rejected, until a person has keyed their postcodes."""

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from services.errors import NotFoundError, QueueFullError
from services.store import keys
from services.store.connection import Connection

MOST_LETTERS: Final = 500
"""Of one user, waiting or keyed and not collected."""
KEEP_S: Final = 86_400
"""A desk to which nothing was sent for so long is emptied."""
CLAIM_S: Final = 120
"""A letter is shown to one coder for so long, then to the next one as well."""
UNDO_S: Final = 5
"""The newest keyed letter is not collected before, so that its coder may take it back."""
POSTCODE_DIGITS: Final = 5
LEAST_AGREEING: Final = 4
"""Digits that must be read as they are keyed, for the cut to be in its place."""


class Counts(NamedTuple):
    """Numbers of letters on a desk: `waiting` for a coder, and `keyed` since it was opened."""

    waiting: int
    keyed: int


@dataclass(frozen=True, slots=True)
class KeyedLetter:
    """A letter whose postcode was keyed; None if it cannot be read."""

    id: str
    number: int
    postcode: str | None


@dataclass(frozen=True, slots=True)
class LabelledDigits:
    """Crops `(n, 28, 28)` uint8 and labels `(n,)` uint8, cut and keyed alike."""

    crops: NDArray[np.uint8]
    labels: NDArray[np.uint8]


class DeskStore:
    """The desks of all users, one each, in Redis."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def put(self, user: str, letter_id: str, letter: Mapping[str, Any]) -> None:
        """Store a rejected letter; it is durable when this returns. One that is there already stays as it is.

        Raises:
            QueueFullError: too many letters are on the desk.
        """
        there = self._run("put_letter", user, letter_id, json.dumps(letter), MOST_LETTERS, KEEP_S)
        if not there:
            raise QueueFullError(
                f"{MOST_LETTERS} letters are on the desk already; send more when some have been keyed",
                retry_after_s=5,
            )

    def claim(self, user: str) -> dict[str, Any] | None:
        """Return the letter that has waited longest, with its `id`, and show it to no other coder for two minutes."""
        found = self._run("claim_letter", user, CLAIM_S)
        return _letter(found) if found else None

    def letter(self, user: str, letter_id: str) -> dict[str, Any]:
        """Return a letter, with its `id`.

        Raises:
            NotFoundError: the letter is not on the desk (any more).
        """
        found: Any = self._connection.client.hget(keys.desk_letters(user), letter_id)
        return self._found([letter_id.encode(), found] if found else None, letter_id)

    def key(self, user: str, letter_id: str, postcode: str | None) -> dict[str, Any]:
        """Store what a coder keyed, and return the letter; keyed again, the last postcode counts.

        Raises:
            NotFoundError: the letter is not on the desk (any more).
        """
        return self._found(self._run("key_letter", user, letter_id, json.dumps(postcode)), letter_id)

    def take_back(self, user: str, letter_id: str) -> dict[str, Any]:
        """Let a keyed letter wait again, claimed by its coder, and return it.

        Raises:
            NotFoundError: the letter is not on the desk (any more).
        """
        return self._found(self._run("take_back_letter", user, letter_id, CLAIM_S), letter_id)

    def collect(self, user: str, received: Iterable[str] = ()) -> list[KeyedLetter]:
        """Return the keyed letters, the newest not before five seconds, so that it can be taken back.

        Args:
            user: whose desk it is.
            received: ids of letters that came with an answer before; they are removed.
        """
        collected = self._run("collect_letters", user, UNDO_S, *received)
        return [
            KeyedLetter(letter_id.decode(), json.loads(letter)["number"], json.loads(postcode))
            for letter_id, letter, postcode in collected
        ]

    def counts(self, user: str) -> Counts:
        """Return the numbers of letters on a desk."""
        with self._connection.client.pipeline() as pipeline:
            pipeline.zcard(keys.desk_waiting(user))
            pipeline.get(keys.desk_count(user))
            waiting, keyed = pipeline.execute()
        return Counts(waiting, int(keyed or 0))

    def _run(self, script: str, user: str, *arguments: Any) -> Any:
        return self._connection.run(f"letters/{script}", user, *arguments)

    @staticmethod
    def _found(found: Sequence[bytes] | None, letter_id: str) -> dict[str, Any]:
        if not found:
            raise NotFoundError(
                f"letter {letter_id!r} is not on the desk; its postcode was collected, or it has expired"
            )
        return _letter(found)


def _letter(found: Sequence[bytes]) -> dict[str, Any]:
    letter_id, letter = found
    return {"id": letter_id.decode(), **json.loads(letter)}


def labelled_digits(crops: bytes, read: str, postcode: str | None) -> LabelledDigits | None:
    """Return the crops of a letter with the keyed digits as labels; None where cut and key do not agree.

    Args:
        crops: 784 bytes each, from left to right.
        read: the digit that was read in each.
        postcode: as keyed.

    A letter is used if it was cut into five digits, of which at least four are read as they are keyed: with fewer,
    the cut is likely to be in the wrong place.
    """
    if postcode is None or len(read) != POSTCODE_DIGITS:
        return None
    if sum(one == other for one, other in zip(read, postcode, strict=True)) < LEAST_AGREEING:
        return None
    return LabelledDigits(
        np.frombuffer(crops, np.uint8).reshape(POSTCODE_DIGITS, 28, 28),
        np.array([*map(int, postcode)], np.uint8),
    )
