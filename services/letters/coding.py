"""Coding: what is keyed at the desk routes the letter, and labels its digits to be learnt from."""

import base64
import logging
from collections.abc import Mapping
from typing import Any

from services.corrections.corrections import Corrections
from services.errors import QuotaExceededError
from services.letters.desk import DeskStore, labelled_digits
from services.users.authentication import User

_log = logging.getLogger(__name__)


class Coding:
    """Keys letters of desks; digits whose cut and key agree become corrections of the desk's user."""

    def __init__(self, desk: DeskStore, corrections: Corrections) -> None:
        self._desk = desk
        self._corrections = corrections

    def key(self, user: User, letter_id: str, postcode: str | None) -> int:
        """Key a letter; return the number of its digits that can be learnt from.

        A letter is keyed also if too many corrections are open: it must go on. Repeated, the last postcode counts.

        Raises:
            NotFoundError: the letter is not on the desk (any more).
        """
        letter = self._desk.letter(user.name, letter_id)
        # Before the letter is keyed: whatever ends this process, the coder or the next one keys the letter again.
        count = self._label(user, letter, postcode)
        self._desk.key(user.name, letter_id, postcode)
        return count

    def take_back(self, user: User, letter_id: str) -> dict[str, Any]:
        """Let a keyed letter wait again, claimed by its coder; return it.

        Raises:
            NotFoundError: the letter is not on the desk (any more).
        """
        letter = self._desk.take_back(user.name, letter_id)
        self._label(user, letter, None)
        return letter

    def _label(self, user: User, letter: Mapping[str, Any], postcode: str | None) -> int:
        """Make the labelled digits of a letter those of a postcode; return their number."""
        crops = b"".join(base64.b64decode(crop) for crop in letter["crops"])
        labelled = labelled_digits(crops, letter["read"], postcode)
        if labelled is None:
            self._corrections.withdraw_labelled(user, crops, "desk")
            return 0
        try:
            self._corrections.add_labelled(user, labelled.crops, labelled.labels.tolist(), "desk")
        except QuotaExceededError as error:
            _log.warning("the digits of a keyed letter are not collected: %s", error.message)
            return 0
        return len(labelled.labels)
