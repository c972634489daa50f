"""What the API's answers look like, for its documentation and for those who build against it."""

from typing import Annotated, Any, Literal, Self, get_args

from pydantic import BaseModel, ConfigDict, Field, StrictBool, model_validator

from services.jobs.recipes import RecipeName
from services.jobs.record import KindName, LongKind
from services.models.manifest import Manifest
from services.names import Name
from services.settings import Backend

Moment = Annotated[str, Field(description="ISO 8601, UTC.")]


class Schema(BaseModel):
    """An answer or a part of one."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class Problem(Schema):
    """What went wrong, as RFC 9457 has it; `error` repeats `detail` for clients of the inference protocol."""

    type: str
    title: str
    status: int
    detail: str
    code: str
    retryable: bool
    error: str
    quota: Annotated[str | None, Field(description="Of `quota_exceeded`: which one.")] = None
    limit: Annotated[float | None, Field(description="Of `quota_exceeded`: how much it allows.")] = None
    used: Annotated[float | None, Field(description="Of `quota_exceeded`: how much is used.")] = None


class StoredProblem(Schema):
    """Why a job failed."""

    code: str
    message: str


class Eta(Schema):
    """Seconds from now, a range: from the 10th to the 90th percentile of what is foreseen."""

    earliest_s: float
    latest_s: float


class QueuePlace(Schema):
    """A place among the unfinished long jobs: 1 goes next."""

    position: int
    of: int


class JobAnswer(Schema):
    """A job."""

    id: str
    kind: KindName
    user: str
    model: str
    params: dict[str, Any]
    state: Literal["queued", "running", "succeeded", "failed", "cancelled", "expired"]
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
    chip_time_s: float
    cancel_requested: bool
    revision: int
    queue: QueuePlace | None
    start: Annotated[Eta | None, Field(description="When a queued job gets its first slice; else null.")]
    eta: Annotated[Eta | None, Field(description="When it is finished; null when that cannot be told.")]


class JobsAnswer(Schema):
    """A page of jobs, newest first."""

    jobs: list[JobAnswer]
    next_cursor: str | None


class JobsQuery(Schema):
    """Which jobs to list."""

    state: Literal["queued", "running", "succeeded", "failed", "cancelled", "expired"] | None = None
    kind: KindName | None = None
    user: Name | None = None
    limit: Annotated[int, Field(ge=1, le=200)] = 50
    cursor: Annotated[str, Field(max_length=200)] | None = None


class WaitQuery(Schema):
    """How long to wait for a change."""

    wait: Annotated[float, Field(ge=0, le=60, description="Seconds.")] = 0.0


class ClassifyQuery(Schema):
    """How long the client waits, from when on nobody wants the answer, and how often to read."""

    wait: Annotated[float, Field(ge=0, le=60, description="Seconds.")] = 10.0
    deadline: Annotated[float | None, Field(gt=0, le=86_400, description="Seconds from now.")] = None
    repeats: Annotated[
        int, Field(ge=1, le=64, description="How often each image is read; the mean of its scores counts.")
    ] = 1
    allow_transfer: Annotated[
        bool, Field(description="Also on another chip than the one in whose loop the model learnt.")
    ] = False


_Row = Annotated[list[Annotated[float, Field(ge=0, le=1)]], Field(min_length=28, max_length=28)]
_Image = Annotated[list[_Row], Field(min_length=28, max_length=28)]


class ImagesBody(Schema):
    """Images as JSON, each 28 rows of 28 numbers: 0 is dark, 1 is bright."""

    images: Annotated[list[_Image], Field(min_length=1)]


class PredictionAnswer(Schema):
    """What was read in one crop, with the chip's ten raw scores (LSB)."""

    digit: Annotated[int, Field(ge=0, le=9)]
    scores: Annotated[list[int], Field(min_length=10, max_length=10)]
    confidence: Annotated[float, Field(ge=0, le=1)]
    batch_size: int
    slot: int


class Timing(Schema):
    """Where the time went, milliseconds."""

    waiting_ms: float
    chip_ms: float
    total_ms: float


class ClassifyAnswer(Schema):
    """One prediction per crop, and how they came about."""

    model: str
    version: str
    chip: str
    backend: Backend
    calibration: dict[str, Any] | None
    transferred: bool
    timing: Timing
    predictions: list[PredictionAnswer]


Pixels = Annotated[
    list[Annotated[int, Field(ge=0, le=255)]],
    Field(min_length=784, max_length=784, description="28 rows of 28 grey values, bright on dark."),
]


class SampleAnswer(Schema):
    """A crop from the test set, and the digit that it shows."""

    digit: Annotated[int, Field(ge=0, le=9)]
    dataset: str
    pixels: Pixels


class CropAnswer(Schema):
    """One crop."""

    pixels: Pixels


class CropsAnswer(Schema):
    """Crops, in the order of the pictures that they were made of."""

    crops: list[CropAnswer]


class ModelSummary(Schema):
    """A model with those of its versions and aliases that one may use.

    `shared` says that everyone may use all versions, `shared_versions` are those that everyone may use one by one.
    """

    name: str
    owner: Annotated[str | None, Field(description="Null when it is the service's.")]
    versions: list[str]
    aliases: dict[str, str]
    shared: bool
    shared_versions: list[str]


class ModelsAnswer(Schema):
    """All models."""

    models: list[ModelSummary]


class DamagedVersion(Schema):
    """A version whose manifest cannot be read."""

    version: str
    problem: StoredProblem


class ModelAnswer(Schema):
    """A model with the manifests of its versions, oldest first; the rest as in the list."""

    name: str
    owner: str | None
    aliases: dict[str, str]
    shared: bool
    shared_versions: list[str]
    versions: list[Manifest | DamagedVersion]


class AliasBody(Schema):
    """What an alias is to mean."""

    version: Annotated[str, Field(pattern=r"^[0-9]+$")]


class AliasAnswer(Schema):
    """What an alias means now."""

    name: str
    alias: str
    version: str


class MaintenanceAnswer(Schema):
    """Maintenance of a chip: crops are served, new long work waits."""

    message: str
    running: Annotated[
        Literal["pause", "finish"], Field(description="What becomes of the long work that ran.")
    ]
    user: str
    since: Moment


class DrainBody(Schema):
    """A chip that is to be put into maintenance, all when left out, and what its users are told."""

    chip: Name | None = None
    message: Annotated[str, Field(max_length=500)] = ""
    running: Annotated[
        Literal["pause", "finish"],
        Field(
            description="`pause` keeps long work that runs at its next slice, to go on later; `finish` lets it end."
        ),
    ] = "pause"


class ResumeBody(Schema):
    """The chip whose maintenance ends; all when left out."""

    chip: Name | None = None


class ChipAnswer(Schema):
    """A chip as its worker reports it."""

    id: str
    state: Literal["ready", "drifted", "lost", "starting", "absent"]
    backend: str | None
    identifier: str | None
    holder: dict[str, Any] | None
    since: Moment | None
    calibration: dict[str, Any] | None
    gain: float | None
    noise_std: float | None
    self_test: dict[str, float] | None
    canary: dict[str, Any] | None
    temperature_c: Annotated[float | None, Field(description="Degrees C; null where nobody can tell.")]
    time_s: Annotated[
        dict[str, float] | None,
        Field(description="Seconds of its worker by what it did; `chip` is work for users."),
    ]
    maintenance: MaintenanceAnswer | None


class ChipsAnswer(Schema):
    """All chips."""

    chips: list[ChipAnswer]


class SeriesQuery(Schema):
    """How many points."""

    limit: Annotated[int, Field(ge=1, le=5000)] = 500


class SeriesAnswer(Schema):
    """Measurements of a chip; `at` of each point is in Unix seconds."""

    chip: str
    series: Literal["canary", "shadow"]
    points: list[dict[str, float]]


Picture = Annotated[str, Field(max_length=60_000, pattern=r"^[A-Za-z0-9+/=]*$", description="Base64.")]


class StrictSchema(Schema):
    """What is sent to be kept: a number is no text and no truth value."""

    model_config = ConfigDict(strict=True)


class LetterCard(StrictSchema):
    """A letter that was sorted lately; the envelope is a JPEG, the crops are PNG pictures."""

    number: int
    written: Annotated[str, Field(max_length=10)]
    read: Annotated[str, Field(max_length=10)] | None
    confidence: Annotated[float, Field(ge=0, le=1)] | None
    outcome: Literal["routed", "wrong", "rejected"]
    reason: Annotated[str, Field(max_length=100)] | None
    town: Annotated[str, Field(max_length=100)] | None
    envelope: Picture
    crops: Annotated[list[Picture], Field(max_length=16)]


class LettersStatus(StrictSchema):
    """How a letter centre is."""

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
    """How the letter centre of a user is."""

    user: Name


class LettersAnswer(Schema):
    """The letter centres that sort now."""

    centres: list[LetterCentre]


Neurons = Annotated[list[float], Field(min_length=512, max_length=512, description="LSB, neuron by neuron.")]


class PatternAnswer(Schema):
    """How far each neuron of a chip is off on average, as its calibration found and left it."""

    chip: str
    calibrated_at: Moment | None
    before_lsb: Neurons | None
    after_lsb: Neurons | None


class MinutesQuery(Schema):
    """How many minutes."""

    minutes: Annotated[int, Field(ge=1, le=120)] = 60


class MinuteUse(Schema):
    """Chip time of one chip, user and kind of work; the user is null for others than oneself."""

    chip: str
    user: str | None
    kind: KindName
    seconds: float


class Minute(Schema):
    """The chip time charged in one minute."""

    at: Moment
    used: list[MinuteUse]


class MinutesAnswer(Schema):
    """The last minutes, oldest first; the last is not over yet."""

    minutes: list[Minute]


class DepthPoint(Schema):
    """What waited at a time: crops, and long jobs that were queued; and long jobs that ran."""

    at: Moment
    crops: int
    queued: int
    running: int


class DepthAnswer(Schema):
    """How much waited, oldest first; one point every few seconds while the service ran."""

    points: list[DepthPoint]


class WaitingCropsAnswer(Schema):
    """Crops that wait for a chip."""

    waiting: int
    expected_wait_s: float | None


class WaitingJobsAnswer(Schema):
    """Long jobs that are not finished; the expected wait is until the first slice of one submitted now."""

    running: int
    queued: int
    expected_wait_s: float | None


class ChipTimeRange(Schema):
    """Chip time that a job will take, in seconds: the 10th, 50th and 90th percentile."""

    low: float
    median: float
    high: float


class ProspectAnswer(Schema):
    """Long jobs of one kind, and what one of yours would meet if submitted now; null while no chip takes long work."""

    running: int
    queued: int
    position: int | None
    chip_time_s: ChipTimeRange | None
    start: Eta | None
    eta: Eta | None


class QueueQuery(Schema):
    """A job that may be submitted; what is left out is as when it is left out of a job's params."""

    kind: LongKind | None = None
    recipe: RecipeName | None = None
    epochs: Annotated[int | None, Field(ge=1, le=200)] = None
    chip_epochs: Annotated[int | None, Field(ge=1, le=50)] = None
    batch_size: Annotated[int | None, Field(ge=1, le=1000)] = None
    execution: Annotated[str | None, Field(max_length=20)] = None
    dataset: Literal["auto", "mnist", "digits"] | None = None
    repeats: Annotated[int | None, Field(ge=1, le=64)] = None

    @model_validator(mode="after")
    def _params_are_of_a_kind(self) -> Self:
        if self.kind is None and self.model_dump(exclude_none=True):
            raise ValueError(f"params need a kind beside them, one of {', '.join(get_args(LongKind))}")
        return self


class QueueAnswer(Schema):
    """What waits, before submitting."""

    crops: WaitingCropsAnswer
    jobs: WaitingJobsAnswer
    kinds: dict[LongKind, ProspectAnswer]


class ChipTime(Schema):
    """Chip time by kind of work, and in all; seconds."""

    chip_time_s: dict[str, float]
    total_s: float


class UserUsage(ChipTime):
    """Chip time of one user."""

    user: str


class UsageAnswer(Schema):
    """Chip time of the users one may see, and of all together."""

    users: list[UserUsage]
    all: ChipTime


class HealthAnswer(Schema):
    """Whether the process lives, or the service is ready and what it lacks."""

    status: Literal["ok", "not ready"]
    reasons: list[str] = []


Count = Annotated[int, Field(ge=0, strict=True)]
Amount = Annotated[float, Field(ge=0, allow_inf_nan=False, strict=True)]
Rate = Annotated[float, Field(gt=0, allow_inf_nan=False, strict=True)]
Lifetime = Annotated[
    float | None,
    Field(gt=0, le=3_153_600_000, strict=True, description="Seconds until the token expires; never if null."),
]


class QuotasBody(Schema):
    """Limits of a user; null follows the service's default again."""

    max_queued_jobs: Count | Literal["unlimited"] | None = None
    max_waiting_crops: Count | Literal["unlimited"] | None = None
    chip_seconds_per_day: Amount | Literal["unlimited"] | None = None
    requests_per_second: Rate | Literal["unlimited"] | None = None


class NewUserBody(Schema):
    """A user to add; quotas that are left out follow the service's defaults."""

    name: Name
    role: Literal["user", "admin"] = "user"
    expires_in: Lifetime = None
    quotas: QuotasBody = QuotasBody()


class ChangedUserBody(Schema):
    """What is to change of a user."""

    role: Literal["user", "admin"] | None = None
    disabled: StrictBool | None = None
    quotas: QuotasBody = QuotasBody()


class NewTokenBody(Schema):
    """How long a new token lives, and whether the others end."""

    expires_in: Lifetime = None
    revoke: StrictBool = False


class QuotasAnswer(Schema):
    """Limits that hold for a user; null is no limit."""

    max_queued_jobs: int | None
    max_waiting_crops: int | None
    chip_seconds_per_day: float | None
    requests_per_second: float | None


class TokenFacts(Schema):
    """A token, by its id."""

    id: str
    created_at: Moment
    expires_at: Moment | None


class UserAnswer(Schema):
    """A user."""

    name: str
    role: Literal["user", "admin"]
    disabled: bool
    created_at: Moment
    quotas: QuotasAnswer
    tokens: list[TokenFacts]


class UsersAnswer(Schema):
    """All users, by name."""

    users: list[UserAnswer]


class TokenAnswer(Schema):
    """A new token, shown this once."""

    token: str
    token_id: str
    expires_at: Moment | None


class NewUserAnswer(UserAnswer, TokenAnswer):
    """A new user with their token, shown this once."""


class RevokedAnswer(Schema):
    """How many tokens are void now."""

    revoked: int


class QuotaAnswer(Schema):
    """A limit, how much of it is used, and what is left; null where there is none."""

    limit: float | None
    used: float | None
    remaining: float | None


class MyQuotasAnswer(Schema):
    """What one may take; chip seconds are counted from midnight UTC."""

    max_queued_jobs: QuotaAnswer
    max_waiting_crops: QuotaAnswer
    chip_seconds_per_day: QuotaAnswer
    requests_per_second: QuotaAnswer


class MeAnswer(Schema):
    """Who asks."""

    name: str
    role: Literal["user", "admin"]
    quotas: MyQuotasAnswer
