"""The input of a plan: chips, load, and the levels of service to hold; strict, as it comes from outside."""

from typing import Annotated, Final, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator

from services.errors import InvalidInputError
from services.explanations import explain
from services.jobs.recipes import RECIPES, RecipeName
from services.settings import Settings

Backend = Literal["mock", "emulator", "hxtorch"]
Sought = Literal["chips", "letters", "users", "trainings"]

OFFICE_HOURS: Final = (
    *(0.03, 0.02, 0.02, 0.02, 0.02, 0.03, 0.08, 0.2, 0.5, 0.85, 1.0, 0.95),
    *(0.7, 0.85, 1.0, 0.95, 0.85, 0.65, 0.4, 0.25, 0.18, 0.12, 0.08, 0.05),
)
"""Activity of people at work, by hour from midnight; the busiest hour is 1. Assumption."""

EVENING: Final = (
    *(0.6, 0.4, 0.25, 0.15, 0.1, 0.05, 0.02, 0.02, 0.02, 0.02, 0.05, 0.1),
    *(0.1, 0.15, 0.2, 0.3, 0.5, 0.7, 0.9, 1.0, 1.0, 0.95, 0.9, 0.8),
)
"""Letters: emptied boxes arrive from the afternoon on, and are sorted by night. Assumption."""

_LIMITS: Final = {name: field.default for name, field in Settings.model_fields.items()}

Profile = Annotated[tuple[Annotated[float, Field(ge=0)], ...], Field(min_length=24, max_length=24)]


class _Frozen(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


class Measured(_Frozen):
    """Times of a running service, in seconds; None where not measured.

    `call_s` and `crop_s` are the fixed part of a chip call and the part of each crop; `look_s` is the time from the
    bell to a choice, `store_s` that of claiming crops and storing answers; `step_s` is a mini-batch of the training
    in question, and `fixed_s` taking up and ending one; `operation_s` is the mean chip time of a program's operation.
    """

    call_s: Annotated[float | None, Field(ge=0)] = None
    crop_s: Annotated[float | None, Field(ge=0)] = None
    look_s: Annotated[float | None, Field(ge=0)] = None
    store_s: Annotated[float | None, Field(ge=0)] = None
    step_s: Annotated[float | None, Field(gt=0)] = None
    fixed_s: Annotated[float | None, Field(ge=0)] = None
    operation_s: Annotated[float | None, Field(gt=0)] = None


class Limits(_Frozen):
    """Limits beyond which the service refuses work; the defaults are those of the settings. None is no limit."""

    max_queued_jobs: Annotated[int, Field(ge=1)] = _LIMITS["max_queued_jobs"]
    max_waiting_crops: Annotated[int, Field(ge=1)] = _LIMITS["max_waiting_crops"]
    user_max_queued_jobs: Annotated[int | None, Field(ge=0)] = _LIMITS["user_max_queued_jobs"]
    user_max_waiting_crops: Annotated[int | None, Field(ge=0)] = _LIMITS["user_max_waiting_crops"]
    user_chip_seconds_per_day: Annotated[float | None, Field(ge=0)] = _LIMITS["user_chip_seconds_per_day"]


class Levels(_Frozen):
    """Levels to hold; None is not checked.

    Attributes:
        p99_ms: 99th percentile of the time from accepting users' crops to their answer.
        deadline_met: Share of the letters decided on before their gate.
        hurried: Share of the letters decided on without the second look they wanted, at most.
        training_wait_min: 95th percentile of the time that a training waits for its first slice.
        training_done_min: 95th percentile of the time from its submission to its end.
        refused: Share of requests and trainings refused for want of room, at most.
    """

    p99_ms: Annotated[float | None, Field(gt=0)] = None
    deadline_met: Annotated[float | None, Field(gt=0, le=1)] = 0.99
    hurried: Annotated[float | None, Field(ge=0, le=1)] = 0.01
    training_wait_min: Annotated[float | None, Field(gt=0)] = None
    training_done_min: Annotated[float | None, Field(gt=0)] = None
    refused: Annotated[float | None, Field(ge=0, le=1)] = 0.01


class Question(_Frozen):
    """A number of chips and a load. Rates are those of the busiest hour; `..._per_day` are means over a whole day."""

    chips: Annotated[int, Field(ge=1, le=100_000)] = 1
    users: Annotated[int, Field(ge=0, le=10_000_000)] = 20
    letters_per_hour: Annotated[float, Field(ge=0, le=1e10)] = 0.0
    trainings_per_user_per_day: Annotated[float, Field(ge=0, le=10_000)] = 0.5
    requests_per_user_per_hour: Annotated[float, Field(ge=0, le=1e6)] = 20.0
    crops_per_request: Annotated[int, Field(ge=1, le=20_000)] = 1
    programs: Annotated[
        int, Field(ge=0, le=10_000, description="Programs in the loop at once, in the users' busiest hour.")
    ] = 0
    operation_ms: Annotated[
        tuple[Annotated[float, Field(gt=0)], ...],
        Field(
            max_length=64,
            description="Chip time of each operation of a forward pass; empty: measured or documented.",
        ),
    ] = ()
    program_home_ms: Annotated[
        float, Field(ge=0, description="Mean time that a program computes at home between two operations.")
    ] = 5.0
    hours: Annotated[float, Field(gt=0, le=168)] = 24.0
    start_hour: Annotated[float, Field(ge=0, lt=24)] = 0.0

    backend: Backend = "mock"
    recipe: RecipeName = "strong"
    dataset: Literal["mnist", "digits"] = "mnist"
    execution: Literal["mock", "chip", "mock-then-chip", "float32"] | None = None
    epochs: Annotated[int | None, Field(ge=1, le=200)] = None
    batch_size: Annotated[int | None, Field(ge=1, le=1000)] = None
    allow_transfer: bool = False

    letter_deadline_s: Annotated[float, Field(gt=0)] = 2.0
    letters_per_centre: Annotated[
        float, Field(gt=0, description="Letters per hour of one letter centre: ten belts of 40,000.")
    ] = 400_000.0
    connections_per_centre: Annotated[int, Field(ge=1, le=64)] = 4
    buffer_per_centre: Annotated[int, Field(ge=1, description="Letters between camera and gate.")] = 200
    crops_per_letter: Annotated[int, Field(ge=1, description="Of the first look.")] = 9
    crops_per_second_look: Annotated[int, Field(ge=1)] = 24
    second_looks: Annotated[float, Field(ge=0, le=1)] = 0.28

    user_profile: Profile = OFFICE_HOURS
    letter_profile: Profile = EVENING

    batch_crops: Annotated[int, Field(ge=1, le=4096)] = _LIMITS["batch_crops"]
    quantum_s: Annotated[float, Field(gt=0, le=10)] = _LIMITS["quantum_s"]
    long_work_share: Annotated[float, Field(ge=0, lt=1)] = _LIMITS["long_work_share"]
    canary_every_s: Annotated[float, Field(gt=0)] = _LIMITS["canary_every_s"]
    limits: Limits = Limits()
    levels: Levels = Levels()
    measured: Measured = Measured()

    seed: Annotated[int, Field(ge=0, lt=2**53)] = 0
    events: Annotated[
        int, Field(ge=1000, description="Units, requests and letters that are simulated one by one, about.")
    ] = 500_000
    find: Sought | None = None

    @model_validator(mode="after")
    def _the_load_is_one(self) -> Self:
        if not self.has_load and self.find is None:
            raise ValueError(
                "nothing asks for the chips: give letters per hour, programs, or users with trainings or requests"
            )
        if self.letters_per_hour and not any(self.letter_profile):
            raise ValueError("letter_profile is 0 in every hour, but letters are to come")
        if (self.users or self.programs) and not any(self.user_profile):
            raise ValueError("user_profile is 0 in every hour, but there are users or programs")
        return self

    @field_validator("recipe")
    @classmethod
    def _trainings_begin_anew(cls, recipe: RecipeName) -> RecipeName:
        if RECIPES[recipe].adapts:
            raise ValueError("a recipe that continues a version is not planned; choose another")
        return recipe

    @model_validator(mode="after")
    def _what_is_sought_can_be_found(self) -> Self:
        if self.find is not None and all(level is None for level in self.levels.model_dump().values()):
            raise ValueError(f"find={self.find} needs a level of service to hold, such as p99_ms")
        if self.find == "trainings" and not self.users:
            raise ValueError("find=trainings needs users that train; give users")
        if self.find == "users" and not (self.trainings_per_user_per_day or self.requests_per_user_per_hour):
            raise ValueError("find=users needs something that users do: trainings or requests")
        if self.find == "chips" and not self.has_load:
            raise ValueError("find=chips needs a load to hold; give letters per hour, programs or users")
        return self

    @property
    def asks_users(self) -> bool:
        """Whether users send anything."""
        return bool(self.users and (self.trainings_per_user_per_day or self.requests_per_user_per_hour))

    @property
    def has_load(self) -> bool:
        """Whether anything asks for the chips."""
        return bool(self.letters_per_hour or self.asks_users or self.programs)

    @property
    def bound_to_chips(self) -> bool:
        """Whether models are read by the chip in whose loop they learnt, and by no other."""
        execution = self.execution or ("mock" if self.backend == "mock" else "mock-then-chip")
        return "chip" in execution and self.backend != "mock" and not self.allow_transfer


def read_question(text: str | bytes) -> Question:
    """Read the question that a JSON document asks.

    Raises:
        InvalidInputError: a field is wrong; the message names each, and the expected value.
    """
    try:
        return Question.model_validate_json(text)
    except ValidationError as error:
        raise InvalidInputError(explain(error, Question)) from None
