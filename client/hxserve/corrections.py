"""Requests about corrections of answers."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, Final

from hxserve.classification import fresh_key
from hxserve.transport import Transport, json_object, segment

if TYPE_CHECKING:
    from hxserve.predictions import Prediction

_PAGE: Final = 100


class CorrectionRequests:
    """The part of the client for corrections; only answers that were classified with `keep` can be corrected."""

    _transport: Transport

    def correct(self, answer: Prediction | str, digit: int | None, index: int = 0) -> dict[str, Any]:
        """Correct or confirm one crop of a kept answer; a later correction of the same crop replaces it.

        Args:
            answer: a prediction, or the id of an answer.
            digit: the right digit, None for a crop that shows none.
            index: of the crop in an answer that is given by its id.

        Raises:
            NotFoundError: no such answer of yours is kept (any more).
        """
        if not isinstance(answer, str):
            index = answer.index
            answer = answer.answer
        body = {"answer": answer, "index": index, "digit": digit}
        return json_object(self._transport.call("POST", "/v1/corrections", json=body, headers=fresh_key()))

    def corrections(self) -> Iterator[dict[str, Any]]:
        """Yield your open corrections with their crops, the newest word first."""
        cursor: str | None = None
        while True:
            query = {"limit": _PAGE, "cursor": cursor}
            page = self._transport.call_json("GET", "/v1/corrections", query=query)
            yield from page["corrections"]
            cursor = page["next_cursor"]
            if not cursor:
                return

    def delete_correction(self, correction_id: str) -> None:
        """Withdraw an open correction; the answer itself stays kept until it expires."""
        self._transport.delete(f"/v1/corrections/{segment(correction_id)}")

    def close_corrections(self, dataset: str) -> dict[str, Any]:
        """Publish the open corrections in the next version of a data set of yours; return what it has."""
        body = {"dataset": dataset}
        answer = self._transport.call("POST", "/v1/corrections/close", json=body, headers=fresh_key())
        return json_object(answer)

    def accuracy(self) -> list[dict[str, Any]]:
        """Return the accuracy in production of each model version, among corrected and confirmed answers."""
        versions: list[dict[str, Any]] = self._transport.call_json("GET", "/v1/accuracy")["versions"]
        return versions

    def keep_answers(self, keep: bool) -> None:
        """Keep crops and answers of all your requests for correction, or keep none and delete those kept."""
        self._transport.call("PUT", "/v1/me/keep", json={"keep": keep})
