"""Chips: their state, their maintenance and their measurements."""

from collections.abc import Iterable
from typing import Annotated, Any, Final, Literal, Self, get_args

from flask import Blueprint
from pydantic import Field

from api.application import application
from api.authentication import current_user
from api.documentation import SPEC, answers
from api.schemas import Moment, Schema
from services.chips.series import SeriesName
from services.chips.store import ChipRecord
from services.errors import NotFoundError
from services.names import Name

routes = Blueprint("chip", __name__, url_prefix="/v1/chip")

Running = Annotated[
    Literal["pause", "finish"],
    Field(
        description="Long work that runs: `pause` saves it at its next slice, to go on later; `finish` lets it end."
    ),
]


class MaintenanceAnswer(Schema):
    """Maintenance of a chip: crops are served, new long work waits."""

    message: str
    running: Running
    user: str
    since: Moment


class DrainBody(Schema):
    """The chip to put into maintenance, all when left out, and a message for its users."""

    chip: Name | None = None
    message: Annotated[str, Field(max_length=500)] = ""
    running: Running = "pause"


class ResumeBody(Schema):
    """The chip whose maintenance ends; all when left out."""

    chip: Name | None = None


class ChipAnswer(Schema):
    """A chip as its worker reports it."""

    id: str
    state: Literal["ready", "drifted", "lost", "starting", "absent"]
    holder: dict[str, Any] | None
    since: Moment | None
    backend: str | None
    identifier: str | None
    calibration: dict[str, Any] | None
    gain: float | None
    noise_std: float | None
    self_test: dict[str, float] | None
    canary: dict[str, Any] | None
    temperature_c: Annotated[float | None, Field(description="Degrees C; null where it cannot be measured.")]
    time_s: Annotated[
        dict[str, float] | None,
        Field(description="Seconds of its worker by activity; `chip` is work for users."),
    ]
    maintenance: MaintenanceAnswer | None

    @classmethod
    def of(cls, record: ChipRecord) -> Self:
        """Describe a chip."""
        status = {name: record.status.get(name) for name in cls.model_fields} | {
            "id": record.chip,
            "state": record.state,
            "holder": record.holder,
            "since": record.since,
            "maintenance": record.drain,
        }
        return cls.model_validate(status)


class ChipsAnswer(Schema):
    """All chips."""

    chips: list[ChipAnswer]

    @classmethod
    def of(cls, records: Iterable[ChipRecord]) -> Self:
        """Describe chips."""
        return cls(chips=[ChipAnswer.of(record) for record in records])


class SeriesQuery(Schema):
    """The number of points."""

    limit: Annotated[int, Field(ge=1, le=5000)] = 500


class SeriesAnswer(Schema):
    """Measurements of a chip; `at` of each point is in Unix seconds."""

    chip: str
    series: SeriesName
    points: list[dict[str, float]]


Neurons = Annotated[list[float], Field(min_length=512, max_length=512, description="LSB, neuron by neuron.")]


class PatternAnswer(Schema):
    """The mean offset of each neuron of a chip, without any calibration and with the last one."""

    chip: str
    calibrated_at: Moment | None
    before_lsb: Neurons | None
    after_lsb: Neurons | None
    was_flat: Annotated[
        bool | None,
        Field(description="True if the chip was as flat before the last calibration as after it."),
    ]


_NO_PATTERN: Final = dict.fromkeys(("calibrated_at", "before_lsb", "after_lsb", "was_flat"))


@routes.get("")
@SPEC.validate(resp=answers(200, ChipsAnswer), tags=["chip"])
def show_chips() -> ChipsAnswer:
    """Show the chips: their hardware, their workers, the results of their self-tests."""
    return ChipsAnswer.of(application().chips.records())


@routes.post("/drain")
@SPEC.validate(resp=answers(200, ChipsAnswer, 403, 404, 415), tags=["chip"])
def drain_chip(json: DrainBody) -> ChipsAnswer:
    """Put a chip into maintenance, as an admin.

    Crops are still served. Running long work is saved at its next slice and goes on later, or finishes; new long work
    is accepted and waits. Maintenance lasts until `resume`, also over restarts.
    """
    draining = application().draining
    return ChipsAnswer.of(draining.drain(current_user(), json.chip, json.message, json.running))


@routes.post("/resume")
@SPEC.validate(resp=answers(200, ChipsAnswer, 403, 404, 415), tags=["chip"])
def resume_chip(json: ResumeBody) -> ChipsAnswer:
    """End a chip's maintenance, as an admin."""
    return ChipsAnswer.of(application().draining.resume(current_user(), json.chip))


@routes.get("/<chip>/series/<series>")
@SPEC.validate(resp=answers(200, SeriesAnswer, 404), tags=["chip"])
def show_series(chip: str, series: SeriesName, query: SeriesQuery) -> SeriesAnswer:
    """Show the newest points of a chip's `canary` or `shadow`, oldest first.

    A point of `canary` has `score_lsb` and `limit_lsb`; one of `shadow` has `crops` and `disagreements`.
    """
    if series not in get_args(SeriesName) or not _is_known(chip):
        raise NotFoundError(f"there is no series {series!r} of a chip {chip!r}; there are canary and shadow")
    points = application().series.newest(chip, series, query.limit)
    return SeriesAnswer(chip=chip, series=series, points=points)


@routes.get("/<chip>/pattern")
@SPEC.validate(resp=answers(200, PatternAnswer, 404), tags=["chip"])
def show_pattern(chip: str) -> PatternAnswer:
    """Show the offsets of a chip's 512 neurons, without any calibration and with the last one.

    All is null until a calibration made by this service has measured them.
    """
    if not _is_known(chip):
        raise NotFoundError(f"there is no chip {chip!r}")
    pattern = application().series.pattern(chip) or _NO_PATTERN
    return PatternAnswer.model_validate({"chip": chip, **_NO_PATTERN, **pattern})


def _is_known(chip: str) -> bool:
    return chip in {record.chip for record in application().chips.records()}
