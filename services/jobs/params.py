"""The params of each kind of job, validated by the API and again by the worker."""

from collections.abc import Mapping
from typing import Annotated, Any, Final, Literal, Self

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    ValidationError,
    ValidationInfo,
    field_validator,
    model_validator,
)

from services.errors import InvalidInputError
from services.explanations import explain
from services.jobs.dataset_choice import DatasetChoice, DatasetReference
from services.jobs.recipes import RECIPES, RecipeName
from services.jobs.record import JobKind
from services.models.paired import MARGIN
from services.names import ModelName, Name
from services.networks.network import Network

TrainingExecution = Literal["mock", "chip", "mock-then-chip", "float32"]
EvaluationExecution = Literal["mock", "quantised", "float32", "chip"]
StairName = Literal["float32", "quantised", "mock", "chip", "loop"]
"""The steps of a staircase; `loop` is the chip after a training in its loop."""


class Params(BaseModel):
    """Params of a job; an unknown field is refused, not ignored."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, use_attribute_docstrings=True)


class TrainingParams(Params):
    """Params of a training; a field that is left out takes the recipe's value."""

    recipe: RecipeName = "strong"
    start_from: Annotated[str | None, Field(max_length=200)] = None
    """Version to learn on from: a number or an alias of the same model, or `model@version` of any that you may use.
    """
    epochs: Annotated[int | None, Field(ge=0, le=200)] = None
    """0, with `start_from`: nothing is learnt; the confidence is fitted to the data set and a version published."""
    batch_size: Annotated[int | None, Field(ge=1, le=1000)] = None
    learning_rate: Annotated[float | None, Field(gt=0, le=10)] = None
    seed: Annotated[int, Field(ge=0, lt=2**53)] = 0
    execution: TrainingExecution | None = None
    """Where to learn; when left out `mock-then-chip` (`adapt`: `chip`), or `mock` where there is no chip. `mock`: in
    hxtorch's mock arithmetic; `chip`: with the chip in the loop; `mock-then-chip`: one after the other; `float32`: in
    plain layers, as a reference."""
    chip_epochs: Annotated[int | None, Field(ge=1, le=50)] = None
    """Epochs in the chip's loop."""
    chip_learning_rate: Annotated[float | None, Field(gt=0, le=10)] = None
    dataset: DatasetChoice = "auto"
    """Data set, or several with weights such as `{"mnist": 0.1, "mine": 20}`: how often each of their crops is shown in
    an epoch. `mnist`, `digits` (inside scikit-learn), `auto` (MNIST where it is found, else `digits`), or one that you
    may use: `name`, `name@version`."""
    network: Network = Network.perceptron()
    """When left out, that of the recipe."""

    @model_validator(mode="before")
    @classmethod
    def _take_the_recipes_network(cls, given: Any) -> Any:
        if isinstance(given, Mapping) and given.get("recipe") in RECIPES and "network" not in given:
            return {**given, "network": RECIPES[given["recipe"]].network}
        return given

    @field_validator("epochs")
    @classmethod
    def _only_what_goes_on_learns_nothing(cls, epochs: int | None, info: ValidationInfo) -> int | None:
        if epochs == 0 and info.data.get("start_from") is None:
            raise ValueError(
                "0 epochs need a version in start_from; without one Input should be greater than or equal to 1"
            )
        return epochs

    @model_validator(mode="after")
    def _what_learns_nothing_is_in_one_place(self) -> Self:
        if self.epochs == 0 and (self.chip_epochs is not None or self.execution == "mock-then-chip"):
            raise ValueError(
                "with 0 epochs nothing is learnt: leave out chip_epochs, and name one place to execute"
            )
        return self

    @model_validator(mode="after")
    def _what_adapts_has_a_version_and_a_data_set(self) -> Self:
        if RECIPES[self.recipe].adapts and self.start_from is None:
            raise ValueError(f"the recipe {self.recipe!r} continues a version; name it in start_from")
        if RECIPES[self.recipe].adapts and self.dataset == "auto":
            raise ValueError(
                f"the recipe {self.recipe!r} learns digits of your own; name their data set in dataset"
            )
        return self

    @model_validator(mode="after")
    def _what_goes_on_keeps_its_network(self) -> Self:
        if self.start_from is not None and self.network != RECIPES[self.recipe].network:
            raise ValueError("a training that starts from a version has its network; leave out network")
        return self


class VersionParams(Params):
    """Params of work with one version of a model: access to it is checked, and it may be bound to one chip."""

    version: str = "latest"
    """A version number or an alias."""
    allow_transfer: bool = False
    """On the chip: also on another one than that in whose loop it learnt."""

    @property
    def on_chip(self) -> bool:
        """Whether the chip computes, so that the affinity of the version holds."""
        return True


class MeasurementParams(VersionParams):
    """Params of measurements of a version on the crops of a test set."""

    dataset: DatasetChoice = "auto"
    """Its test part is read; of several (a list with weights, as in a training) all of them."""
    seed: Annotated[int, Field(ge=0, lt=2**53)] = 0


class EvaluationParams(MeasurementParams):
    """Params of a measurement of one version on the test set."""

    execution: EvaluationExecution | None = None
    """Where to measure; when left out where the version serves: on the `chip`, or in the `mock` where there is no chip.
    `quantised` is the mock without noise, `chip` the chip itself."""
    repeats: Annotated[int, Field(ge=1, le=64)] = 1
    """Readings of each crop; their mean counts."""

    @property
    def on_chip(self) -> bool:
        """Whether it is measured on the chip, where there is one."""
        return self.execution in {None, "chip"}


class ComparisonParams(EvaluationParams):
    """Params of a comparison of a candidate with another version of its model, on the crops of the test set."""

    against: str = "production"
    """The version that it is compared with; a number or an alias."""
    repeats: Annotated[int, Field(ge=2, le=64)] = 8
    """Readings of each crop by each version, in turns; the mean of its scores counts."""
    margin: Annotated[float, Field(ge=0, le=0.5)] = MARGIN
    """The loss of accuracy that does not matter."""


class StaircaseParams(MeasurementParams):
    """Params of a staircase: a version measured from float32 to the chip, and after a short training in its loop."""

    dataset: DatasetChoice = "auto"
    """Its test part is read, and the loop learns from its training part; `auto`: the built-in one that the version
    learnt from."""
    recipe: RecipeName | None = None
    """Of the training in the loop; when left out that of the version, or `strong`."""
    chip_epochs: Annotated[int | None, Field(ge=0, le=50)] = None
    """Epochs in the chip's loop; when left out those of the recipe, or 0 for a version that learnt in a chip's loop.
    0: nothing is learnt."""
    chip: Name | None = None
    """The chip's id; any that may read the version when left out."""

    @field_validator("recipe")
    @classmethod
    def _needs_no_data_set_of_ones_own(cls, recipe: RecipeName | None) -> RecipeName | None:
        if recipe is not None and RECIPES[recipe].adapts:
            raise ValueError(f"the recipe {recipe!r} learns digits of your own; choose another")
        return recipe

    @property
    def training(self) -> TrainingParams | None:
        """The training in the chip's loop; None if nothing is learnt."""
        if self.chip_epochs == 0:
            return None
        return TrainingParams(
            recipe=self.recipe or "strong",
            start_from=self.version,
            execution="chip",
            chip_epochs=self.chip_epochs,
            dataset=self.dataset,
            seed=self.seed,
        )


class BatchParams(VersionParams):
    """Params of a batch job: all crops of uploaded files or of a data set, read by one version."""

    upload: Annotated[str | None, Field(pattern=r"^[0-9a-f]{32}$")] = None
    """The id of an upload (`POST /v1/uploads`) all of which has arrived. One upload is of one job."""
    dataset: DatasetReference | None = None
    """Instead of an upload, a data set: `mnist`, `digits`, or one that you may use: `name`, `name@version`."""
    part: Literal["all", "train", "test"] = "all"
    """The part of the data set; `all` is the training part and then the test part."""
    centre: bool = False
    """Scale and centre crops of 28 x 28 as MNIST's digits are; larger pictures always are."""
    repeats: Annotated[int, Field(ge=1, le=64)] = 1
    """Readings of each crop; their mean counts."""
    max_chip_s: Annotated[float | None, Field(gt=0)] = None
    """Seconds of chip time after which the job ends with the answers so far."""
    expected_crops: Annotated[int | None, Field(ge=0)] = None
    """How many crops the files hold, as far as their names, sizes and headers tell; set by the service."""

    @model_validator(mode="after")
    def _reads_one_thing(self) -> Self:
        if (self.upload is None) == (self.dataset is None):
            raise ValueError("name either an upload or a dataset")
        return self


class CalibrationParams(Params):
    """Params of a calibration of one chip."""

    chip: Name | None = None
    """The chip's id; any that is free when left out."""


class UploadParams(Params):
    """Params of an upload, made from the uploaded file."""

    sha256: str
    """Of the file."""
    network: Network


class ImportParams(Params):
    """Params of the import of a data set, made from its upload."""

    upload: str
    """The upload's id."""
    dataset: ModelName
    bytes: int
    """Of all files."""
    test_fraction: float = 0.2
    """Part of each digit that becomes the test part where the files name none."""
    centre: bool = False
    """Scale and centre crops of 28 x 28, too."""
    most_bytes: int | None = None
    """The size of crops that the user's quota allows."""


PARAMS_OF: Final[Mapping[JobKind, type[Params]]] = {
    JobKind.TRAINING: TrainingParams,
    JobKind.EVALUATION: EvaluationParams,
    JobKind.COMPARISON: ComparisonParams,
    JobKind.STAIRCASE: StaircaseParams,
    JobKind.BATCH: BatchParams,
    JobKind.CALIBRATION: CalibrationParams,
    JobKind.UPLOAD: UploadParams,
    JobKind.IMPORT: ImportParams,
}


def validate_params(kind: JobKind, params: Mapping[str, Any]) -> Params:
    """Validate the params of a job of this kind."""
    try:
        return PARAMS_OF[kind].model_validate(dict(params))
    except ValidationError as error:
        raise InvalidInputError(explain(error, PARAMS_OF[kind], under="params")) from None
