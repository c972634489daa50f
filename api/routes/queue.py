"""The queue: its length, and the outlook of a job before it is submitted."""

from collections import Counter
from collections.abc import Mapping
from typing import Annotated, Any, Final, Self, get_args

from flask import Blueprint
from pydantic import Field, model_validator

from api.application import Application, application
from api.authentication import current_user
from api.documentation import SPEC, answers
from api.routes.usage import MinutesQuery
from api.schemas import Eta, Moment, Schema, rounded
from services.errors import InvalidInputError
from services.jobs.params import MeasurementParams, TrainingParams, validate_params
from services.jobs.recipes import RecipeName
from services.jobs.record import JobKind, JobState, LongKind

routes = Blueprint("queue", __name__, url_prefix="/v1/queue")

_USUAL: Final[Mapping[JobKind, dict[str, Any]]] = {
    JobKind.BATCH: {"dataset": "auto", "expected_crops": 10_000},
}
"""Params of kinds that have no default ones."""


class DepthPoint(Schema):
    """The depth of the queue at a time: waiting crops, queued long jobs; and running ones."""

    at: Moment
    crops: int
    queued: int
    running: int


class DepthAnswer(Schema):
    """The depth of the queue, oldest first; one point every few seconds while the service ran."""

    points: list[DepthPoint]


class WaitingCropsAnswer(Schema):
    """Crops that wait for a chip."""

    waiting: int
    expected_wait_s: Annotated[float, rounded(4)] | None

    @classmethod
    def read(cls, app: Application) -> Self:
        """Count the waiting crops and estimate how long a new one would wait."""
        waiting = app.chips.waiting_crops()
        serving = [record for record in app.chips.records() if record.is_serving]
        paces = [record.status["crop_s"] for record in serving if record.status.get("crop_s")]
        return cls(waiting=waiting, expected_wait_s=waiting * min(paces) / len(serving) if paces else None)


class OperationsAnswer(Schema):
    """Operations of programs that wait for a chip, and the open sessions that send them."""

    sessions: int
    waiting: int
    position: Annotated[
        int | None,
        Field(description="Operations that go before your next one; null while none of yours waits."),
    ]


class WaitingJobsAnswer(Schema):
    """Unfinished long jobs; the expected wait is until the first slice of a job submitted now."""

    running: int
    queued: int
    expected_wait_s: Annotated[float, rounded(3)] | None


class ChipTimeRange(Schema):
    """Chip time of a job, in seconds: the 10th, 50th and 90th percentile."""

    low: Annotated[float, rounded(2), Field(validation_alias="low_s")]
    median: Annotated[float, rounded(2), Field(validation_alias="median_s")]
    high: Annotated[float, rounded(2), Field(validation_alias="high_s")]


class ProspectAnswer(Schema):
    """Long jobs of one kind, and the outlook of one that you submit now; null while no chip takes long work."""

    running: int
    queued: int
    position: int | None
    chip_time_s: ChipTimeRange | None
    start: Eta | None
    eta: Eta | None


class QueueQuery(Schema):
    """A job that may be submitted; fields left out are as in a job's params."""

    kind: LongKind | None = None
    recipe: RecipeName | None = None
    start_from: Annotated[str | None, Field(max_length=200)] = None
    epochs: Annotated[int | None, Field(ge=0, le=200)] = None
    chip_epochs: Annotated[int | None, Field(ge=1, le=50)] = None
    batch_size: Annotated[int | None, Field(ge=1, le=1000)] = None
    execution: Annotated[str | None, Field(max_length=20)] = None
    dataset: Annotated[
        str | None,
        Field(max_length=2000, description="A data set, or a mixture as `mnist=0.1,mine=20`."),
    ] = None
    repeats: Annotated[int | None, Field(ge=1, le=64)] = None

    @model_validator(mode="after")
    def _params_are_of_a_kind(self) -> Self:
        if self.kind is None and self.model_dump(exclude_none=True):
            raise ValueError(f"params need a kind beside them, one of {', '.join(get_args(LongKind))}")
        return self

    def params(self) -> dict[str, Any]:
        """Return the params of the job; a mixture as a mapping.

        Raises:
            InvalidInputError: a weight of the mixture is no number.
        """
        given = self.model_dump(exclude={"kind"}, exclude_none=True)
        if self.dataset is None or "=" not in self.dataset:
            return given
        try:
            weights = {
                name: float(weight)
                for name, _, weight in (part.partition("=") for part in self.dataset.split(","))
            }
        except ValueError:
            raise InvalidInputError(
                f"dataset: a mixture is written as mnist=0.1,mine=20, not {self.dataset[:80]!r}"
            ) from None
        return given | {"dataset": weights}


class QueueAnswer(Schema):
    """The queue, as it concerns a new job of yours."""

    crops: WaitingCropsAnswer
    operations: OperationsAnswer
    jobs: WaitingJobsAnswer
    kinds: dict[LongKind, ProspectAnswer]


@routes.get("/depth")
@SPEC.validate(resp=answers(200, DepthAnswer), tags=["chip"])
def show_depth(query: MinutesQuery) -> DepthAnswer:
    """Show the depth of the queue in the last minutes."""
    return DepthAnswer.model_validate({"points": application().queue_metrics.lately(query.minutes)})


@routes.get("")
@SPEC.validate(resp=answers(200, QueueAnswer), tags=["chip"])
def show_queue(query: QueueQuery) -> QueueAnswer:
    """Show what waits, and the outlook of a job that you submit now.

    `kinds` has every kind of long job that is submitted by name, with default params, and a batch job of 10,000 crops;
    with `kind` (and params beside
    it), that one alone.
    """
    app, asker = application(), current_user()
    user = asker.name
    unfinished = app.waiting.forecast().unfinished.values()
    counts = Counter((job.kind, job.state) for job in unfinished)
    kinds: dict[str, Any] = {}
    for kind in map(JobKind, [query.kind] if query.kind else get_args(LongKind)):
        params = validate_params(kind, query.params() or _USUAL.get(kind, {}))
        match params:
            case TrainingParams():
                params = app.references.resolve(params, asker)
            case MeasurementParams():
                params = app.references.resolve(params, asker)
        prospect = app.waiting.prospect(kind, params, user)
        kinds[kind] = {
            "running": counts[kind, JobState.RUNNING],
            "queued": counts[kind, JobState.QUEUED],
            "position": prospect.outlook.position,
            "chip_time_s": prospect.cost,
            "start": prospect.outlook.start,
            "eta": prospect.outlook.finish,
        }
    training = app.waiting.prospect(JobKind.TRAINING, validate_params(JobKind.TRAINING, {}), user)
    start = training.outlook.start
    states = Counter(job.state for job in unfinished)
    jobs = {
        "running": states[JobState.RUNNING],
        "queued": states[JobState.QUEUED],
        "expected_wait_s": (start.earliest_s + start.latest_s) / 2 if start else None,
    }
    return QueueAnswer.model_validate(
        {
            "crops": WaitingCropsAnswer.read(app),
            "operations": app.programs.queue(user),
            "jobs": jobs,
            "kinds": kinds,
        }
    )
