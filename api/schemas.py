"""Documents that several routes share, each both the OpenAPI schema and the body of an answer.

A document that one route alone sends or takes stands beside that route.
"""

from datetime import UTC, datetime
from typing import Annotated, Any, Self

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    ValidationInfo,
    field_validator,
)

from services.crops.extras import Extras
from services.crops.remarks import Box
from services.jobs.inspection import JobView
from services.jobs.record import JobKind, JobState
from services.settings import Backend


class Schema(BaseModel):
    """A document or a part of one, made from keywords, a mapping, or the attributes of a record."""

    model_config = ConfigDict(frozen=True, extra="forbid", from_attributes=True)


def _iso(at: float | str) -> str:
    """Format Unix seconds as ISO 8601; leave text as it is."""
    if isinstance(at, str):
        return at
    return datetime.fromtimestamp(at, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


Moment = Annotated[str, BeforeValidator(_iso), Field(description="ISO 8601, UTC.")]


def rounded(digits: int) -> AfterValidator:
    """Round a number when its document is made."""
    return AfterValidator(lambda value: round(value, digits))


class Problem(Schema):
    """An error as RFC 9457 has it; `error` repeats `detail` for clients of the inference protocol."""

    type: str
    title: str
    status: int
    detail: str
    code: str
    retryable: bool
    error: str
    quota: Annotated[str | None, Field(description="Of `quota_exceeded`: its name.")] = None
    limit: Annotated[float | None, Field(description="Of `quota_exceeded`: its limit.")] = None
    used: Annotated[float | None, Field(description="Of `quota_exceeded`: the part of it in use.")] = None


class StoredProblem(Schema):
    """The reason why a job failed."""

    code: str
    message: str


class DamagedVersion(Schema):
    """A version whose manifest cannot be read."""

    version: str
    problem: StoredProblem


class Eta(Schema):
    """Seconds from now, a range: the 10th to the 90th percentile of the forecast."""

    earliest_s: Annotated[float, rounded(1)]
    latest_s: Annotated[float, rounded(1)]


class QueuePlace(Schema):
    """A place among the unfinished long jobs: 1 goes next."""

    position: int
    of: int


class JobAnswer(Schema):
    """A job."""

    id: str
    kind: JobKind
    user: str
    model: str
    params: dict[str, Any]
    state: JobState
    created_at: Moment
    started_at: Moment | None
    finished_at: Moment | None
    updated_at: Moment | None
    progress: Annotated[float, Field(ge=0, le=1)]
    metrics: dict[str, Any]
    result: dict[str, Any] | None
    error: StoredProblem | None
    provenance: dict[str, Any]
    attempts: int
    chip_time_s: Annotated[float, rounded(3)]
    cancel_requested: bool
    webhook: Annotated[
        str | None, Field(description="Hears of the job's end: an address, or a webhook's id.")
    ]
    revision: int
    queue: QueuePlace | None
    start: Annotated[Eta | None, Field(description="When a queued job gets its first slice; else null.")]
    eta: Annotated[Eta | None, Field(description="When the job is finished; null if there is no forecast.")]

    @classmethod
    def of(cls, view: JobView) -> Self:
        """Describe a job with its result and its outlook."""
        outlook = view.outlook
        shown = {name: getattr(view.job, name, None) for name in cls.model_fields} | {
            "result": view.result,
            "webhook": view.job.webhook or None,
            "queue": outlook if outlook.position else None,
            "start": outlook.start,
            "eta": outlook.finish,
        }
        return cls.model_validate(shown)


class CropsQuery(Schema):
    """How crops are made of a body."""

    centre: Annotated[
        bool,
        Field(
            description="Scale and centre raw crops and arrays as MNIST's digits are; pictures always are."
        ),
    ] = False
    segment: Annotated[
        bool,
        Field(description="Read several digits of each picture, from left to right, with their boxes."),
    ] = False


class ClassifyQuery(CropsQuery):
    """Options of a classification: waiting time, deadline, repeated reading, choice of chip, centring, segmentation."""

    wait: Annotated[float, Field(ge=0, le=60, description="Seconds.")] = 10.0
    deadline: Annotated[float | None, Field(gt=0, le=86_400, description="Seconds from now.")] = None
    repeats: Annotated[
        int, Field(ge=1, le=64, description="How often each image is read; its scores are averaged.")
    ] = 1
    allow_transfer: Annotated[
        bool, Field(description="Allow another chip than the one in whose loop the model learnt.")
    ] = False
    keep: Annotated[
        bool | None,
        Field(description="Keep crops and answer for a correction; left out, as `PUT /v1/me/keep` says."),
    ] = None
    mock: Annotated[
        bool,
        Field(
            description="Send what mock arithmetic reads in the same crops too, beside what the chip reads."
        ),
    ] = False
    activations: Annotated[
        bool,
        Field(
            description="Send the hidden activations of each crop too, as the chip call had them; 64 crops at most."
        ),
    ] = False

    pixels: Annotated[
        bool,
        Field(
            description="Send each crop back as it was read; 64 crops at most, and not in a job that is answered later."
        ),
    ] = False

    @field_validator("activations")
    @classmethod
    def _need_one_reading(cls, value: bool, given: ValidationInfo) -> bool:
        if value and given.data.get("repeats", 1) > 1:
            raise ValueError("they are those of one reading; leave out repeats, or send a crop several times")
        return value

    @property
    def extras(self) -> Extras:
        """What is asked for besides the digits."""
        asked = Extras.ACTIVATIONS if self.activations else Extras.NONE
        return asked | Extras.MOCK if self.mock else asked


_Row = Annotated[list[Annotated[float, Field(ge=0, le=1)]], Field(min_length=28, max_length=28)]
_Image = Annotated[list[_Row], Field(min_length=28, max_length=28)]


class ImagesBody(Schema):
    """Images as JSON, each 28 rows of 28 numbers: 0 is dark, 1 is bright."""

    images: Annotated[list[_Image], Field(min_length=1)]


Pixels = Annotated[
    list[Annotated[int, Field(ge=0, le=255)]],
    Field(min_length=784, max_length=784, description="28 rows of 28 grey values, bright on dark."),
]


class LayerActivations(Schema):
    """What came out of a rectifier of the network for one crop, row by row: 0..31, or 0..127 without conversion."""

    layer: Annotated[str, Field(description="The name of its module, such as `relu1`.")]
    shape: list[int]
    values: list[Annotated[int, Field(ge=0, le=127)]]


class ScoresAnswer(Schema):
    """The digit read in one crop, with ten raw scores (LSB)."""

    digit: Annotated[int, Field(ge=0, le=9)]
    scores: Annotated[list[int], Field(min_length=10, max_length=10)]
    confidence: Annotated[float, Field(ge=0, le=1)]


class PredictionAnswer(ScoresAnswer):
    """The digit that the chip read in one crop, with its ten raw scores (LSB)."""

    batch_size: int
    slot: int
    picture: Annotated[int | None, Field(description="With `segment`: number of the picture, from 0.")] = None
    box: Annotated[
        Box | None,
        Field(description="With `segment`: left, top, right, bottom in px of the upright picture."),
    ] = None
    activations: Annotated[
        list[LayerActivations] | None, Field(description="With `activations`: the hidden layers, in order.")
    ] = None
    mock: Annotated[
        ScoresAnswer | None, Field(description="With `mock`: what mock arithmetic read in the same crop.")
    ] = None
    pixels: Annotated[Pixels | None, Field(description="With `pixels`: the crop, as it was read.")] = None


class Timing(Schema):
    """Durations, in milliseconds."""

    waiting_ms: float
    chip_ms: float
    total_ms: float


class ClassifyAnswer(Schema):
    """One prediction per crop, with their provenance."""

    id: Annotated[str, Field(description="By which a kept answer is corrected; the job's, if it is one.")]
    model: str
    version: str
    chip: str
    backend: Backend
    calibration: dict[str, Any] | None
    transferred: bool
    timing: Timing
    predictions: list[PredictionAnswer]
    warnings: Annotated[list[str], Field(description="About crops that look wrong, such as inverted ones.")]


class SampleAnswer(Schema):
    """A crop from the test set, with its digit."""

    digit: Annotated[int, Field(ge=0, le=9)]
    dataset: str
    pixels: Pixels
