"""Chip time charged to users, in all and minute by minute."""

from collections import Counter, defaultdict
from collections.abc import Mapping
from typing import Annotated, Self

from flask import Blueprint
from pydantic import Field

from api.application import application
from api.authentication import current_user
from api.documentation import SPEC, answers
from api.schemas import Moment, Schema, rounded
from services.jobs.record import JobKind

routes = Blueprint("usage", __name__, url_prefix="/v1/usage")

Seconds = Annotated[float, rounded(3)]


class ChipTime(Schema):
    """Chip time by kind of work, and in all; seconds."""

    chip_time_s: dict[str, Seconds]
    total_s: Seconds

    @classmethod
    def of(cls, kinds: Mapping[str, float], **more: str) -> Self:
        """Add up chip time by kind."""
        return cls.model_validate(
            {"chip_time_s": dict(sorted(kinds.items())), "total_s": sum(kinds.values()), **more}
        )


class UserUsage(ChipTime):
    """Chip time of one user."""

    user: str


class UsageAnswer(Schema):
    """Chip time of the users you may see, and of all together."""

    users: list[UserUsage]
    all: ChipTime


class MinutesQuery(Schema):
    """The number of minutes."""

    minutes: Annotated[int, Field(ge=1, le=120)] = 60


class MinuteUse(Schema):
    """Chip time of one chip, user and kind of work; other users' names are null."""

    chip: str
    user: str | None
    kind: JobKind
    seconds: Annotated[float, rounded(4)]


class Minute(Schema):
    """The chip time charged in one minute."""

    at: Moment
    used: list[MinuteUse]


class MinutesAnswer(Schema):
    """The last minutes, oldest first; the last is not over yet."""

    minutes: list[Minute]


@routes.get("/minutes")
@SPEC.validate(resp=answers(200, MinutesAnswer), tags=["chip"])
def show_minutes(query: MinutesQuery) -> MinutesAnswer:
    """Show the chip time of each of the last minutes by chip, user and kind.

    Only admins see the names of other users.
    """
    viewer = current_user()
    minutes = []
    for number, used in application().usage.by_minute(query.minutes).items():
        seen: defaultdict[tuple[str, str | None, str], float] = defaultdict(float)
        for (chip, user, kind), seconds in used.items():
            seen[chip, user if viewer.may_see(user) else None, kind] += seconds
        parts = [
            {"chip": chip, "user": user, "kind": kind, "seconds": seconds}
            for (chip, user, kind), seconds in seen.items()
        ]
        minutes.append({"at": 60.0 * number, "used": parts})
    return MinutesAnswer.model_validate({"minutes": minutes})


@routes.get("")
@SPEC.validate(resp=answers(200, UsageAnswer), tags=["chip"])
def show_usage() -> UsageAnswer:
    """Show the chip time charged to you and to all users together; admins see each user."""
    viewer = current_user()
    used = application().usage.by_user(JobKind)
    total: Counter[str] = Counter()
    for kinds in used.values():
        total.update(kinds)
    seen = [UserUsage.of(kinds, user=user) for user, kinds in sorted(used.items()) if viewer.may_see(user)]
    return UsageAnswer(users=seen, all=ChipTime.of(total))
