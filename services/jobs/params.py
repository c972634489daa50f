"""The params of each kind of job, validated by the API and again by the worker."""

from collections.abc import Iterable, Iterator, Mapping
from typing import Annotated, Any, Final, Literal, Self, get_args

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator
from pydantic_core import ErrorDetails

from services.errors import InvalidInputError
from services.jobs.recipes import RECIPES, RecipeName
from services.jobs.record import JobKind, LongKind
from services.names import MODEL_PATTERN, NAME_PATTERN, NAME_WORDS, ModelName, Name
from services.networks.network import Network

TrainingExecution = Literal["mock", "chip", "mock-then-chip", "float32"]
EvaluationExecution = Literal["mock", "quantised", "float32", "chip"]

WORDS_OF: Final[Mapping[str, str]] = {
    NAME_PATTERN: NAME_WORDS,
    MODEL_PATTERN: f"{NAME_WORDS}, or this after an owner's name and '~'",
    r"^[0-9]+$": "the number of a version, such as '1'",
    r"^[A-Za-z0-9+/=]*$": "base64",
    r"^(redis|rediss|unix)://": "an address that begins with redis://, rediss:// or unix://",
    r"^[A-Za-z0-9_][A-Za-z0-9_.-]{0,99}$": "up to 100 of A-Z, a-z, 0-9, '_', '.', '-', not beginning with '.' or '-'",
}
"""The patterns of all fields in words, for errors."""


class Params(BaseModel):
    """Params of a job; an unknown field is refused, not ignored."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, use_attribute_docstrings=True)


class TrainingParams(Params):
    """Params of a training; a field that is left out takes the recipe's value."""

    recipe: RecipeName = "strong"
    epochs: Annotated[int | None, Field(ge=1, le=200)] = None
    batch_size: Annotated[int | None, Field(ge=1, le=1000)] = None
    learning_rate: Annotated[float | None, Field(gt=0, le=10)] = None
    seed: Annotated[int, Field(ge=0, lt=2**53)] = 0
    execution: TrainingExecution | None = None
    """Where to learn; when left out `mock-then-chip`, or `mock` where there is no chip. `mock`: in hxtorch's mock
    arithmetic; `chip`: with the chip in the loop; `mock-then-chip`: one after the other; `float32`: in plain layers, as
    a reference."""
    start_from: str | None = None
    """Version of the same model to learn on from; a number or an alias."""
    chip_epochs: Annotated[int | None, Field(ge=1, le=50)] = None
    """Epochs in the chip's loop."""
    chip_learning_rate: Annotated[float | None, Field(gt=0, le=10)] = None
    dataset: Literal["auto", "mnist", "digits"] = "auto"
    """`auto`: MNIST where it is found, else the digits inside scikit-learn."""
    network: Network = Network.perceptron()
    """When left out, that of the recipe."""

    @model_validator(mode="before")
    @classmethod
    def _take_the_recipes_network(cls, given: Any) -> Any:
        if isinstance(given, Mapping) and given.get("recipe") in RECIPES and "network" not in given:
            return {**given, "network": RECIPES[given["recipe"]].network}
        return given

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


class EvaluationParams(VersionParams):
    """Params of a measurement of one version on the test set."""

    execution: EvaluationExecution | None = None
    """Where to measure; when left out where the version serves: on the `chip`, or in the `mock` where there is no chip.
    `quantised` is the mock without noise, `chip` the chip itself."""
    repeats: Annotated[int, Field(ge=1, le=64)] = 1
    """Readings of each crop; their mean counts."""
    dataset: Literal["auto", "mnist", "digits"] = "auto"
    seed: Annotated[int, Field(ge=0, lt=2**53)] = 0

    @property
    def on_chip(self) -> bool:
        """Whether it is measured on the chip, where there is one."""
        return self.execution in {None, "chip"}


class CalibrationParams(Params):
    """Params of a calibration of one chip."""

    chip: Name | None = None
    """The chip's id; any that is free when left out."""


class UploadParams(Params):
    """Params of an upload, made from the uploaded file."""

    sha256: str
    """Of the file."""
    network: Network


PARAMS_OF: Final[Mapping[JobKind, type[Params]]] = {
    JobKind.TRAINING: TrainingParams,
    JobKind.EVALUATION: EvaluationParams,
    JobKind.CALIBRATION: CalibrationParams,
    JobKind.UPLOAD: UploadParams,
}


SUBMITTED: Final = tuple(PARAMS_OF[JobKind(kind)] for kind in get_args(LongKind))
"""The params of the kinds that clients submit by name."""


class JobRequest(BaseModel):
    """A submitted job, before validation of its params."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, use_attribute_docstrings=True)

    kind: LongKind
    """Kind of work."""
    model: ModelName | None = None
    """The model's name; a training makes it if new. A calibration has none. Another user's is `<owner>~<name>`, the
    service's always `service~<name>`."""
    params: Annotated[
        dict[str, Any],
        Field(description=f"By kind: {', '.join(f'`{model.__name__}`' for model in SUBMITTED)}."),
    ] = {}

    def validated_params(self) -> Params:
        """Validate the params against the kind's model.

        Raises:
            InvalidInputError: it names each wrong field and the expected value.
        """
        kind = JobKind(self.kind)
        if kind.is_maintenance and self.model is not None:
            raise InvalidInputError(f"model: a {kind} is of a chip, not of a model; leave the model out")
        if not kind.is_maintenance and self.model is None:
            raise InvalidInputError(f"model: {kind} needs the name of its model")
        return validate_params(kind, self.params)


def validate_params(kind: JobKind, params: Mapping[str, Any]) -> Params:
    """Validate the params of a job of this kind."""
    try:
        return PARAMS_OF[kind].model_validate(dict(params))
    except ValidationError as error:
        raise InvalidInputError(explain(error, PARAMS_OF[kind], under="params")) from None


def explain(error: ValidationError, model: type[BaseModel], under: str = "") -> str:
    """Format a validation error as one line: the field, the error and the allowed values."""
    parts = []
    for problem in error.errors(include_url=False):
        path = ".".join([under, *map(str, problem["loc"])] if under else map(str, problem["loc"]))
        if problem["type"] == "extra_forbidden":
            known = _known_beside(problem["loc"], model)
            parts.append(f"{path}: unknown field" + (f"; known are {known}" if known else ""))
        else:
            parts.append(f"{path}: {_reason(problem)}, got {_shorten(problem['input'])}")
    return "; ".join(parts)


def _reason(problem: ErrorDetails) -> str:
    """Return the error in words; a pattern is described, not shown."""
    if problem["type"] == "string_pattern_mismatch":
        pattern = problem["ctx"]["pattern"]
        return f"Input should be {WORDS_OF[pattern]}" if pattern in WORDS_OF else "Input has another form"
    return problem["msg"].removeprefix("Value error, ")


def _known_beside(place: tuple[int | str, ...], model: type[BaseModel]) -> str:
    """Return the fields of the model that has an unknown field; nothing if that cannot be determined."""
    schema = model.model_json_schema()
    found = [schema]
    for step in place[:-1]:
        found = [inner for form in _forms(found, schema) for inner in _inside(form, step)]
    return ", ".join(sorted({name for form in _forms(found, schema) for name in form.get("properties", {})}))


def _forms(schemas: Iterable[dict[str, Any]], whole: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """Return the alternatives of JSON schemas, with references to definitions followed."""
    for schema in schemas:
        if "$ref" in schema:
            yield from _forms([whole["$defs"][schema["$ref"].rpartition("/")[2]]], whole)
        elif alternatives := schema.get("anyOf") or schema.get("oneOf"):
            yield from _forms(alternatives, whole)
        else:
            yield schema


def _inside(schema: dict[str, Any], step: int | str) -> list[dict[str, Any]]:
    """Return the schema of an item or a field; of one alternative of several, named by its `type`, itself."""
    properties = schema.get("properties", {})
    if isinstance(step, int):
        return [schema["items"]] if "items" in schema else []
    if step in properties:
        return [properties[step]]
    return [schema] if properties.get("type", {}).get("const") == step else []


def _shorten(value: object, limit: int = 80) -> str:
    text = repr(value)
    return text if len(text) <= limit else text[: limit - 1] + "…"
