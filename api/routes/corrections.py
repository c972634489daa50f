"""Corrections of answers, and the accuracy in production that they show."""

from typing import Annotated, Any, Self

import numpy as np
from flask import Blueprint, Response
from pydantic import Field

from api.application import application
from api.authentication import current_user
from api.crops.steps import png_in_base64
from api.documentation import SPEC, answers
from api.schemas import Moment, Schema, rounded
from services.corrections.record import Correction, Outcome, Source

routes = Blueprint("corrections", __name__, url_prefix="/v1")

_Share = Annotated[float, Field(ge=0, le=1), rounded(4)]
_BIAS = (
    "Among corrected and confirmed answers. These are no random sample: people correct what strikes them as wrong. "
    "So compare versions with it, and do not take it for the accuracy of all answers."
)


class CorrectionBody(Schema):
    """The right digit of one crop of a kept answer."""

    answer: Annotated[str, Field(max_length=100, description="The answer's `id`.")]
    index: Annotated[int, Field(ge=0, strict=True, description="Of the crop in the answer, from 0.")] = 0
    digit: Annotated[
        Annotated[int, Field(ge=0, le=9, strict=True)] | None,
        Field(description="The right digit, also where it was read; null if the crop shows none."),
    ]


class CorrectionAnswer(Schema):
    """A correction; what was read is null for a crop that came with its label."""

    id: str
    answer: str | None
    index: int | None
    digit: int | None
    read: int | None
    confidence: float | None
    model: str | None
    version: str | None
    outcome: Outcome | None
    source: Source
    at: Annotated[Moment, Field(description="Time of the last word, ISO 8601, UTC.")]
    expires_at: Moment
    closed: Annotated[str | None, Field(description="The version of a data set that it is closed into.")]
    png: Annotated[str | None, Field(description="The crop as a PNG in base64; null once it is closed.")]

    @classmethod
    def of(cls, correction: Correction, keep_s: float) -> Self:
        """Describe a correction with its crop."""
        shown = {name: getattr(correction, name, None) for name in cls.model_fields}
        png = None
        if correction.crop:
            png = png_in_base64(np.frombuffer(correction.crop, np.uint8).reshape(28, 28))
        return cls.model_validate({**shown, "expires_at": correction.at + keep_s, "png": png})


class CorrectionsQuery(Schema):
    """A place in the list."""

    limit: Annotated[int, Field(ge=1, le=200)] = 50
    cursor: Annotated[str, Field(max_length=200)] | None = None


class CorrectionsAnswer(Schema):
    """A page of open corrections, the newest word first."""

    corrections: list[CorrectionAnswer]
    next_cursor: str | None


class CloseBody(Schema):
    """The data set that takes the open corrections."""

    dataset: Annotated[str, Field(max_length=200)]


class ClosedAnswer(Schema):
    """The version that has the corrections."""

    dataset: str
    version: str
    sha256: str
    counts: dict[str, list[int]]
    remarks: list[str]
    closed: Annotated[int, Field(description="Number of corrections that were closed now.")]


class AccuracyAnswer(Schema):
    """Corrected answers of a version; the accuracy is among those to crops that show a digit."""

    model: str
    version: str
    right: int
    wrong: int
    not_a_digit: int
    accuracy: _Share | None
    interval: Annotated[
        tuple[_Share, _Share] | None, Field(description="95 %, by Wilson's formula; null without answers.")
    ]


class AccuraciesAnswer(Schema):
    """The accuracy in production of each version with corrections that you may see."""

    versions: list[AccuracyAnswer]
    note: str


@routes.post("/corrections")
@SPEC.validate(resp=answers(201, CorrectionAnswer, 404, 409, 415), tags=["corrections"])
def correct(json: CorrectionBody) -> Any:
    """Correct an answer, or confirm it.

    Only answers to your own crops that are kept can be corrected (`keep` of a classification). Crop, answer and digit
    are kept in one step. A later correction of the same crop replaces it.
    """
    app = application()
    correction = app.corrections.add(current_user(), json.answer, json.index, json.digit)
    return CorrectionAnswer.of(correction, app.corrections.keep_s), 201


@routes.get("/corrections")
@SPEC.validate(resp=answers(200, CorrectionsAnswer), tags=["corrections"])
def list_corrections(query: CorrectionsQuery) -> CorrectionsAnswer:
    """List your open corrections with their crops, the newest word first."""
    corrections = application().corrections
    page = corrections.page(current_user(), query.limit, query.cursor)
    shown = [CorrectionAnswer.of(correction, corrections.keep_s) for correction in page.corrections]
    return CorrectionsAnswer(corrections=shown, next_cursor=page.next_cursor)


@routes.delete("/corrections/<string(minlength=6):correction_id>")  # so that it is not `close`
@SPEC.validate(resp=answers(204, None, 404, 409), tags=["corrections"])
def delete_correction(correction_id: str) -> Response:
    """Withdraw an open correction: it is not counted any more.

    The answer itself stays kept until it expires.
    """
    application().corrections.delete(current_user(), correction_id)
    return Response(status=204)


@routes.post("/corrections/close")
@SPEC.validate(resp=answers(200, ClosedAnswer, 403, 409, 415, 507), tags=["corrections"])
def close_corrections(json: CloseBody) -> ClosedAnswer:
    """Close the open corrections into a data set of yours.

    Its next version has all that its newest one has, and the corrected and confirmed crops, each once with its last
    digit; a fifth of each digit are test crops. Crops that show no digit are left out. Repeating it makes no second
    version.
    """
    closed = application().corrections.close(current_user(), json.dataset)
    manifest = closed.manifest
    return ClosedAnswer(
        dataset=manifest.name,
        version=manifest.version,
        sha256=manifest.sha256,
        counts=manifest.counts.model_dump(),
        remarks=manifest.remarks,
        closed=closed.corrections,
    )


@routes.get("/accuracy")
@SPEC.validate(resp=answers(200, AccuraciesAnswer), tags=["corrections"])
def show_accuracy() -> AccuraciesAnswer:
    """Show the accuracy in production of model versions, as corrections show it."""
    found = application().corrections.accuracies(current_user())
    return AccuraciesAnswer(versions=[AccuracyAnswer.model_validate(of) for of in found], note=_BIAS)
