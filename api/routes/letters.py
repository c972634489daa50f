"""Running letter centres: they report their status, pages show it."""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict
from typing import Annotated, Any, Literal

from flask import Blueprint, Response
from pydantic import ConfigDict, Field

from api.application import Application, application
from api.authentication import current_user
from api.documentation import SPEC, answers
from api.event_streams import format_event, stream_state
from api.schemas import Schema
from services.names import Name
from services.users.authentication import User

routes = Blueprint("letters", __name__, url_prefix="/v1/letters")

Picture = Annotated[str, Field(max_length=60_000, pattern=r"^[A-Za-z0-9+/=]*$", description="Base64.")]


class _Strict(Schema):
    """A document that is stored as it came: a number is neither a text nor a truth value."""

    model_config = ConfigDict(strict=True)


class LetterCard(_Strict):
    """A letter sorted lately; the envelope is a JPEG, the crops are PNG pictures."""

    number: int
    written: Annotated[str, Field(max_length=10)]
    read: Annotated[str, Field(max_length=10)] | None
    confidence: Annotated[float, Field(ge=0, le=1)] | None
    outcome: Literal["routed", "wrong", "rejected"]
    reason: Annotated[str, Field(max_length=100)] | None
    town: Annotated[str, Field(max_length=100)] | None
    envelope: Picture
    crops: Annotated[list[Picture], Field(max_length=16)]


class LettersStatus(_Strict):
    """The status of a letter centre."""

    title: Annotated[str, Field(max_length=100)]
    letters: Annotated[int, Field(ge=0)]
    machines: Annotated[int, Field(ge=0)]
    done: Annotated[int, Field(ge=0)]
    routed: Annotated[int, Field(ge=0)]
    wrong: Annotated[int, Field(ge=0)]
    rejects: dict[Annotated[str, Field(max_length=100)], int]
    letters_per_h: Annotated[float, Field(ge=0)]
    recent: Annotated[list[LetterCard], Field(max_length=12)]


class LetterCentre(LettersStatus):
    """The status of a user's letter centre."""

    user: Name


class LettersAnswer(Schema):
    """The letter centres that sort now."""

    centres: list[LetterCentre]


@routes.get("")
@SPEC.validate(resp=answers(200, LettersAnswer), tags=["letters"])
def show_letters() -> LettersAnswer:
    """Show the letter centres that sort now: yours, and for admins everybody's."""
    viewer, running = current_user(), application().letters.running()
    centres = [{"user": user, **status} for user, status in running.items() if viewer.may_see(user)]
    return LettersAnswer.model_validate({"centres": centres})


@routes.get("/events")
@SPEC.validate(resp=answers(200, None), tags=["letters"])
def stream_letters() -> Response:
    """Listen to the letter centres: a server-sent event whenever they have changed, at most once a second.

    `centres` are as in `GET /v1/letters`, with the ids of their newest letters in `belt` instead of `recent`; `letters`
    has, by id, the letters that this stream has not sent before. For admins `orders` is as in `GET /v1/letters/order`.
    """
    return stream_state(_read, _NewLetters(current_user()).event)


@routes.put("")
@SPEC.validate(resp=answers(204, None, 413, 415), tags=["letters"])
def report_letters(json: LettersStatus) -> Response:
    """Report the status of your letter centre; it is forgotten after ten seconds."""
    application().letters.keep(current_user().name, json.model_dump())
    return Response(status=204)


Centre = tuple[dict[str, Any], Mapping[str, Any]]
"""A centre's status with the ids of its newest letters, and those letters by id."""


def _read(app: Application) -> tuple[list[Centre], dict[str, Any]]:
    """Return the letter centres, and the order of the service's."""
    return _read_centres(app), asdict(app.letter_orders.view())


def _read_centres(app: Application) -> list[Centre]:
    centres: list[Centre] = []
    for user, status in app.letters.running().items():
        letters = {_id_of(letter): letter for letter in status.pop("recent")}
        centres.append(({"user": user, **status, "belt": list(letters)}, letters))
    return centres


def _id_of(letter: Mapping[str, Any]) -> str:
    """Compute an id from a letter's content."""
    return hashlib.blake2b(json.dumps(letter, sort_keys=True).encode(), digest_size=8).hexdigest()


class _NewLetters:
    """The events of one viewer: each letter's pictures are sent once."""

    def __init__(self, viewer: User) -> None:
        self._viewer = viewer
        self._sent: frozenset[str] = frozenset()
        self._last: dict[str, Any] | None = None

    def event(self, read: tuple[list[Centre], dict[str, Any]]) -> str:
        """Return the changes as an event; "" if there are none."""
        centres, orders = read
        seen = [centre for centre in centres if self._viewer.may_see(centre[0]["user"])]
        state: dict[str, Any] = {"centres": [status for status, _ in seen]}
        if self._viewer.is_admin:
            state["orders"] = orders
        if state == self._last:
            return ""
        letters = {name: letter for _, belt in seen for name, letter in belt.items()}
        new = {name: letter for name, letter in letters.items() if name not in self._sent}
        self._sent, self._last = frozenset(letters), state
        return format_event("letters", state | {"letters": new})
