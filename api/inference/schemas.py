"""Requests and answers of the Open Inference Protocol.

Unknown members of a request are ignored, as the protocol requires; members that ask for something this service cannot
do are declared here, so that they can be refused.
"""

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, RootModel, model_validator

from api.schemas import Schema

Microseconds = Annotated[int, Field(ge=0, le=86_400_000_000, description="Microseconds; 0 for no limit.")]
Extent = Annotated[int, Field(ge=0, le=2**31)]


class Asked(BaseModel):
    """A part of a request; a member that is null means the same as none."""

    model_config = ConfigDict(frozen=True, extra="ignore", strict=True)

    @model_validator(mode="before")
    @classmethod
    def leave_out_nulls(cls, members: Any) -> Any:
        """Return the members that have a value."""
        if isinstance(members, dict) and None in members.values():
            return {name: value for name, value in members.items() if value is not None}
        return members


class SharedMemory(Asked):
    """A reference to memory of another process."""

    shared_memory_region: str | None = None


class InputParameters(SharedMemory):
    """The place of a tensor's data: `binary_data_size` bytes after the JSON, or in it."""

    binary_data_size: Annotated[int, Field(ge=0)] | None = None


class InputTensor(Asked):
    """A tensor of a request; `data` are its numbers, flat or nested, unless they come as bytes."""

    name: str
    datatype: str
    shape: Annotated[list[Extent], Field(max_length=8)]
    parameters: InputParameters = InputParameters()
    data: list[Any] | None = None


class OutputParameters(SharedMemory):
    """The requested form of a tensor."""

    binary_data: bool | None = None
    classification: int = 0


class RequestedOutput(Asked):
    """A requested tensor."""

    name: str
    parameters: OutputParameters = OutputParameters()


class InferParameters(Asked):
    """Parameters of a request.

    `timeout` limits the time in the queue. `priority` is accepted and has no effect: users share a chip evenly.
    `repeats` is the number of readings of each crop. With `keep`, crops and answer are kept for a correction.
    Sequences are for models with a state; there are none here.
    """

    binary_data_output: bool = False
    priority: Annotated[int, Field(ge=0)] = 0
    timeout: Microseconds = 0
    repeats: Annotated[int, Field(ge=1, le=64)] = 1
    keep: bool | None = None
    sequence_id: int | str = 0


class InferBody(Asked):
    """The JSON of a request."""

    id: Annotated[str, Field(max_length=200)] = ""
    inputs: list[InputTensor]
    outputs: list[RequestedOutput] = []
    parameters: InferParameters = InferParameters()


class InferenceError(Schema):
    """An error in the protocol's form."""

    error: str


class LiveAnswer(Schema):
    """Liveness of the server."""

    live: bool


class ServerReadyAnswer(Schema):
    """Readiness of a chip."""

    ready: bool


class ModelReadyAnswer(Schema):
    """Readiness of a model."""

    name: str
    ready: bool


class ServerMetadata(Schema):
    """The server and the extensions that it supports."""

    name: str
    version: str
    extensions: list[str]


class TensorMetadata(Schema):
    """An input or output tensor of a model; -1 is any extent."""

    name: str
    datatype: str
    shape: list[int]


class ModelMetadata(Schema):
    """The inputs and outputs of a model."""

    name: str
    versions: list[str]
    platform: str
    inputs: list[TensorMetadata]
    outputs: list[TensorMetadata]


class TensorConfig(Schema):
    """A tensor of one crop."""

    name: str
    data_type: str
    dims: list[int]


class ModelConfig(Schema):
    """A model as Triton's model configuration extension has it."""

    name: str
    platform: str
    backend: str
    max_batch_size: int
    input: list[TensorConfig]
    output: list[TensorConfig]


class OutputTensor(Schema):
    """A tensor of an answer; its numbers are in `data`, or come as bytes after the JSON."""

    name: str
    datatype: str
    shape: list[int]
    parameters: dict[str, int] | None = None
    data: list[float] | None = None


class InferAnswer(Schema):
    """The JSON of an answer; `parameters` hold its provenance."""

    model_name: str
    model_version: str
    id: str | None = None
    parameters: dict[str, str | float | bool]
    outputs: list[OutputTensor]


class IndexedModel(Schema):
    """A version in the repository."""

    name: str
    version: str
    state: Literal["READY", "UNAVAILABLE"]
    reason: str


class RepositoryIndex(RootModel[list[IndexedModel]]):
    """All versions of all models."""


class IndexBody(Asked):
    """A filter of versions."""

    ready: bool = False


class DurationStatistics(Schema):
    """A count, and the sum of nanoseconds."""

    count: int
    ns: int


class InferenceStatistics(Schema):
    """Durations of requests, by part."""

    success: DurationStatistics
    fail: DurationStatistics
    queue: DurationStatistics
    compute_input: DurationStatistics
    compute_infer: DurationStatistics
    compute_output: DurationStatistics
    cache_hit: DurationStatistics
    cache_miss: DurationStatistics


class BatchStatistics(Schema):
    """Chip calls of one size."""

    batch_size: int
    compute_input: DurationStatistics
    compute_infer: DurationStatistics
    compute_output: DurationStatistics


class VersionStatistics(Schema):
    """A version's statistics; `last_inference` in Unix milliseconds."""

    name: str
    version: str
    last_inference: int
    inference_count: int
    execution_count: int
    inference_stats: InferenceStatistics
    batch_stats: list[BatchStatistics]


class StatisticsAnswer(Schema):
    """Statistics of versions that were asked since this process started."""

    model_stats: list[VersionStatistics]
