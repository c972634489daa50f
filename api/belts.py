"""What the page is told of letter centres: how they are, and of each letter's pictures only once."""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from api.application import Application
from api.beats import event_of
from services.users.authentication import User


@dataclass(frozen=True, slots=True)
class Centre:
    """How a user's letter centre is, and the newest letters on its belt by an id that their content gives."""

    user: str
    status: Mapping[str, Any]
    belt: Mapping[str, Mapping[str, Any]]


def read_centres(app: Application) -> list[Centre]:
    """The centres that sort now."""
    return [_centre(user, status) for user, status in app.letters.running().items()]


def _centre(user: str, status: Mapping[str, Any]) -> Centre:
    rest = {name: value for name, value in status.items() if name != "recent"}
    return Centre(user, rest, {_id_of(letter): letter for letter in status["recent"]})


def _id_of(letter: Mapping[str, Any]) -> str:
    return hashlib.blake2b(json.dumps(letter, sort_keys=True).encode(), digest_size=8).hexdigest()


class BeltTeller:
    """Tells one viewer of the centres they may see."""

    def __init__(self, viewer: User) -> None:
        self._viewer = viewer
        self._told: frozenset[str] = frozenset()
        self._last: list[dict[str, Any]] | None = None

    def event(self, centres: list[Centre]) -> str:
        """What is new as an event: letters in `letters` come once, `belt` has the ids of all; "" when nothing is."""
        seen = [centre for centre in centres if self._viewer.may_see(centre.user)]
        state = [{"user": centre.user, **centre.status, "belt": list(centre.belt)} for centre in seen]
        if state == self._last:
            return ""
        letters = {name: letter for centre in seen for name, letter in centre.belt.items()}
        new = {name: letter for name, letter in letters.items() if name not in self._told}
        self._told, self._last = frozenset(letters), state
        return event_of("letters", {"centres": state, "letters": new})
