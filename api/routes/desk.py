"""The coding desk: letters that a letter centre could not read are keyed by people."""

import base64
import binascii
from typing import Annotated, Self

from flask import Blueprint, Response
from pydantic import AfterValidator, ConfigDict, Field, model_validator

from api.application import application
from api.authentication import current_user
from api.documentation import SPEC, answers
from api.schemas import Schema
from services.crops.answers import CROP_BYTES
from services.errors import InvalidInputError
from services.names import NAME_WORDS, is_name

routes = Blueprint("desk", __name__, url_prefix="/v1/desk")

_MOST_CROPS = 16


def _check_crop(given: str) -> str:
    """Refuse what is not a crop in base64.

    Raises:
        ValueError: in words.
    """
    try:
        size = len(base64.b64decode(given, validate=True))
    except binascii.Error as error:
        raise ValueError(f"a crop is {CROP_BYTES} bytes in base64, and this is no base64: {error}") from None
    if size != CROP_BYTES:
        raise ValueError(f"a crop is {CROP_BYTES} bytes in base64, and this is {size}")
    return given


Postcode = Annotated[str, Field(pattern=r"^[0-9]{5}$", description="Five digits.")]
Crop = Annotated[
    str,
    Field(description="784 grey values, bright on dark, in base64."),
    AfterValidator(_check_crop),
]


class RejectedLetter(Schema):
    """A letter to be keyed, stored as it comes: the envelope is a JPEG in base64, the crops are from left to right."""

    model_config = ConfigDict(strict=True)

    number: Annotated[int, Field(ge=0, description="Of the letter, given by its letter centre.")]
    envelope: Annotated[str, Field(max_length=120_000, pattern=r"^[A-Za-z0-9+/=]*$")]
    crops: Annotated[list[Crop], Field(max_length=_MOST_CROPS)]
    read: Annotated[
        str, Field(pattern=r"^[0-9]*$", max_length=_MOST_CROPS, description="The digit read in each crop.")
    ]
    reason: Annotated[str, Field(max_length=100)]

    @model_validator(mode="after")
    def _each_crop_is_read(self) -> Self:
        if len(self.read) != len(self.crops):
            raise ValueError(
                f"{len(self.crops)} crops, but {len(self.read)} digits read; send one for each crop"
            )
        return self


class LetterId(Schema):
    """A letter's id on the desk."""

    id: str


class DeskLetter(RejectedLetter, LetterId):
    """A letter on the desk."""


class DeskAnswer(Schema):
    """The desk: letters that wait, letters that were keyed, and the letter claimed, if there was one."""

    waiting: int
    keyed: int
    letter: DeskLetter | None = None
    labelled: Annotated[
        int, Field(description="Digits of the keyed letter that were collected as corrections.")
    ] = 0


class KeyedBody(Schema):
    """What a coder keyed; null when the postcode cannot be read."""

    postcode: Postcode | None


class KeyedLetter(LetterId):
    """A letter that was keyed."""

    number: int
    postcode: str | None


class CollectBody(Schema):
    """Ids of letters that came with an answer before: they are taken off the desk."""

    received: Annotated[tuple[str, ...], Field(max_length=1000)] = ()


class CollectedAnswer(Schema):
    """Keyed letters, in the order in which they were keyed."""

    letters: list[KeyedLetter]


@routes.get("")
@SPEC.validate(resp=answers(200, DeskAnswer), tags=["letters"])
def show_desk() -> DeskAnswer:
    """Show how many letters are on your desk."""
    return _desk()


@routes.put("/letters/<letter_id>")
@SPEC.validate(resp=answers(204, None, 413, 415, 429), tags=["letters"])
def put_letter(letter_id: str, json: RejectedLetter) -> Response:
    """Put a rejected letter on your desk, under an id of your choice; a desk holds 500 letters, for a day."""
    if not is_name(letter_id):
        raise InvalidInputError(f"{letter_id!r} cannot be the id of a letter; use {NAME_WORDS}")
    application().desk.put(current_user().name, letter_id, json.model_dump())
    return Response(status=204)


@routes.post("/claims")
@SPEC.validate(resp=answers(200, DeskAnswer), tags=["letters"])
def claim_letter() -> DeskAnswer:
    """Claim the letter that has waited longest; it is shown to no other coder for two minutes."""
    return _desk(application().desk.claim(current_user().name))


@routes.put("/letters/<letter_id>/postcode")
@SPEC.validate(resp=answers(200, DeskAnswer, 404, 415), tags=["letters"])
def key_letter(letter_id: str, json: KeyedBody) -> DeskAnswer:
    """Key the postcode of a letter, or null if it cannot be read; keyed again, the last postcode counts.

    If five digits were cut, and at least four are read as they are keyed, all five become corrections of yours, which
    close into a data set.
    """
    return _desk(labelled=application().coding.key(current_user(), letter_id, json.postcode))


@routes.delete("/letters/<letter_id>/postcode")
@SPEC.validate(resp=answers(200, DeskAnswer, 404), tags=["letters"])
def take_letter_back(letter_id: str) -> DeskAnswer:
    """Take back a keyed postcode, and claim the letter again; possible until the letter centre has collected it."""
    return _desk(application().coding.take_back(current_user(), letter_id))


@routes.post("/collections")
@SPEC.validate(resp=answers(200, CollectedAnswer, 415), tags=["letters"])
def collect_letters(json: CollectBody) -> CollectedAnswer:
    """Collect the keyed letters, to route them; the newest comes five seconds later, so that it can be taken back.

    A letter comes again with each answer until its id is sent as `received`.
    """
    collected = application().desk.collect(current_user().name, json.received)
    return CollectedAnswer(letters=[KeyedLetter.model_validate(letter) for letter in collected])


def _desk(letter: dict[str, object] | None = None, labelled: int = 0) -> DeskAnswer:
    waiting, keyed = application().desk.counts(current_user().name)
    return DeskAnswer.model_validate(
        {"waiting": waiting, "keyed": keyed, "letter": letter, "labelled": labelled}
    )
