"""Aliases: set, promoted after a comparison, rolled back, rolled out step by step, and their history."""

from collections.abc import Mapping
from typing import Annotated, Any, Final, Self

from flask import Blueprint, Response
from pydantic import Field

from api.application import application
from api.authentication import current_user
from api.documentation import SPEC, answers
from api.schemas import Moment, Schema
from services.chips.series import Trial
from services.errors import NotFoundError
from services.models.aliases import Action, Alias
from services.models.paired import MARGIN

routes = Blueprint("aliases", __name__, url_prefix="/v1/models/<name>/aliases/<alias>")

_Why = Annotated[str, Field(max_length=1000, description="For the history.")]
_Number = Annotated[str, Field(pattern=r"^[0-9]+$")]


class AliasBody(Schema):
    """The version that an alias is to name."""

    version: _Number
    why: _Why = ""


class AliasAnswer(Schema):
    """The version that an alias names."""

    name: str
    alias: str
    version: str


class PromoteBody(Schema):
    """The candidate, the job that compared it with the alias's version, and the loss that does not matter."""

    version: str
    comparison: str
    margin: Annotated[float, Field(ge=0, le=0.5)] = MARGIN
    why: _Why = ""


class RollBackBody(Schema):
    """The reason of a rollback."""

    why: _Why = ""


class ChangeAnswer(Schema):
    """A change of an alias, from version `before` to `version`, with the figures behind it."""

    at: Moment
    user: str
    action: Action
    version: str
    before: str | None
    why: str
    figures: dict[str, Any] | None


class HistoryAnswer(AliasAnswer):
    """An alias with its changes, newest first, and the versions that rollbacks lead to, the next one first."""

    earlier: list[str]
    changes: list[ChangeAnswer]

    @classmethod
    def of(cls, name: str, alias: str, read: Alias) -> Self:
        """Describe an alias."""
        changes = [ChangeAnswer.model_validate(change) for change in reversed(read.changes)]
        earlier = list(reversed(read.earlier))
        return cls(name=name, alias=alias, version=read.version, earlier=earlier, changes=changes)


class RolloutBody(Schema):
    """The candidate, the share of the senders that it answers, and the share of the other crops that it reads, too."""

    candidate: str
    share: Annotated[float, Field(ge=0, le=1)] = 0.0
    shadow: Annotated[float, Field(ge=0, le=1)] = 0.0


class TrialPoint(Schema):
    """Crops that a candidate has read after the version that answered; confidences are means over `crops`.

    `dropped` crops were not read, because the chip had other work.
    """

    at: Moment
    crops: int
    disagreements: int
    dropped: int
    confidence: float | None
    candidate_confidence: float | None


class TrialAnswer(TrialPoint):
    """The same over all points, with the share of the crops that the two versions read as different digits."""

    at: Moment | None  # type: ignore[assignment] # no point yet
    disagreement: float | None


class RolloutAnswer(AliasAnswer):
    """A rollout, what its candidate has read so far, and the points of that, oldest first."""

    candidate: str
    share: float
    shadow: float
    user: str
    since: Moment
    trial: TrialAnswer
    points: list[TrialPoint]

    @classmethod
    def of(cls, name: str, alias: str, read: Alias) -> Self:
        """Describe the rollout of an alias.

        Raises:
            NotFoundError: it has none.
        """
        if read.rollout is None:
            raise NotFoundError(f"{alias} of {name} has no rollout")
        trial = Trial(name, read.version, read.rollout.candidate)
        stored = application().series.of_trial(trial)
        points = [point for point in stored if point["at"] >= read.rollout.since]
        total = {field: sum(point[field] for point in points) for field in _SUMMED}
        whole = _trial_point({**total, "at": points[-1]["at"] if points else None})
        crops = whole["crops"]
        return cls.model_validate(
            {
                "name": name,
                "alias": alias,
                "version": read.version,
                **read.rollout.model_dump(),
                "trial": {**whole, "disagreement": whole["disagreements"] / crops if crops else None},
                "points": [_trial_point(point) for point in points],
            }
        )


_SUMMED: Final = ("crops", "disagreements", "dropped", "confidence", "candidate_confidence")


def _trial_point(stored: Mapping[str, Any]) -> dict[str, Any]:
    """Return a point with means in place of the sums of confidences."""
    crops = int(stored["crops"])
    means = {
        field: round(stored[field] / crops, 4) if crops else None
        for field in ("confidence", "candidate_confidence")
    }
    counts = {field: int(stored[field]) for field in ("crops", "disagreements", "dropped")}
    return {"at": stored["at"], **counts, **means}


@routes.put("")
@SPEC.validate(resp=answers(200, AliasAnswer, 403, 404, 415, 507), tags=["models"])
def set_alias(name: str, alias: str, json: AliasBody) -> AliasAnswer:
    """Let an alias name a version; its history keeps the change."""
    app, user = application(), current_user()
    found = app.registry.version_to_change(user, name, json.version)
    app.models.set_alias(found.model, alias, found.version, user=user.name, why=json.why)
    return AliasAnswer(name=found.model, alias=alias, version=found.version)


@routes.delete("")
@SPEC.validate(resp=answers(204, None, 403, 404, 507), tags=["models"])
def delete_alias(name: str, alias: str) -> Response:
    """Delete an alias with its history; its version stays."""
    app = application()
    app.models.delete_alias(app.registry.to_change(current_user(), name), alias)
    return Response(status=204)


@routes.post("/promote")
@SPEC.validate(resp=answers(200, HistoryAnswer, 403, 404, 409, 415, 507), tags=["models"])
def promote(name: str, alias: str, json: PromoteBody) -> HistoryAnswer:
    """Let an alias name a version that a comparison shows to be better, or not worse by the margin.

    `comparison` is a job of the kind `comparison` that has succeeded, of this version with the one that the alias
    names. Otherwise 409 with the code `promotion_refused` and the figures, and the alias stays.
    """
    full, read = application().promotions.promote(
        current_user(), name, alias, json.version, json.comparison, margin=json.margin, why=json.why
    )
    return HistoryAnswer.of(full, alias, read)


@routes.post("/rollback")
@SPEC.validate(resp=answers(200, HistoryAnswer, 403, 404, 409, 415, 507), tags=["models"])
def roll_back(name: str, alias: str, json: RollBackBody) -> HistoryAnswer:
    """Let an alias name the version that it named before; again: the one before that."""
    full, read = application().promotions.roll_back(current_user(), name, alias, why=json.why)
    return HistoryAnswer.of(full, alias, read)


@routes.get("/history")
@SPEC.validate(resp=answers(200, HistoryAnswer, 403, 404), tags=["models"])
def show_history(name: str, alias: str) -> HistoryAnswer:
    """Show the changes of an alias, newest first, to those who may change the model."""
    full, read = application().promotions.alias(current_user(), name, alias)
    return HistoryAnswer.of(full, alias, read)


@routes.put("/rollout")
@SPEC.validate(resp=answers(200, RolloutAnswer, 403, 404, 409, 415, 507), tags=["models"])
def roll_out(name: str, alias: str, json: RolloutBody) -> RolloutAnswer:
    """Let a candidate answer a share of an alias's senders, read a share of the others' crops, or both.

    A sender is a user, with the header `Hxserve-Sender` a part of one, and is always answered by the same version; a
    larger share keeps those of a smaller one. The candidate reads crops of others in spare chip time, which is charged
    to nobody, after they were answered. The rollout lasts until it is ended or the alias moves.
    """
    full, read = application().promotions.roll_out(
        current_user(), name, alias, json.candidate, share=json.share, shadow=json.shadow
    )
    return RolloutAnswer.of(full, alias, read)


@routes.get("/rollout")
@SPEC.validate(resp=answers(200, RolloutAnswer, 403, 404), tags=["models"])
def show_rollout(name: str, alias: str) -> RolloutAnswer:
    """Show a rollout and the readings by its candidate, to those who may change the model."""
    full, read = application().promotions.alias(current_user(), name, alias)
    return RolloutAnswer.of(full, alias, read)


@routes.delete("/rollout")
@SPEC.validate(resp=answers(204, None, 403, 404, 507), tags=["models"])
def end_rollout(name: str, alias: str) -> Response:
    """End a rollout: all senders are answered by the alias's version again."""
    application().promotions.end_rollout(current_user(), name, alias)
    return Response(status=204)
