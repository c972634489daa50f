"""The record of a job, and the only table of the states it may go through."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from enum import StrEnum
from typing import Any, Final, Literal, Self

LongKind = Literal["training", "evaluation", "comparison", "staircase", "batch", "calibration"]
"""The kinds that clients submit by name."""


class JobKind(StrEnum):
    """The kind of work of a job."""

    TRAINING = "training"
    EVALUATION = "evaluation"
    COMPARISON = "comparison"
    STAIRCASE = "staircase"
    BATCH = "batch"
    CALIBRATION = "calibration"
    UPLOAD = "upload"
    IMPORT = "import"
    CLASSIFICATION = "classification"
    PROGRAM = "program"

    @property
    def is_long(self) -> bool:
        """Whether the work is done in slices."""
        return self not in {JobKind.CLASSIFICATION, JobKind.PROGRAM}

    @property
    def is_maintenance(self) -> bool:
        """Whether the work is chip maintenance, which goes before other long work."""
        return self is JobKind.CALIBRATION


class JobState(StrEnum):
    """The state of a job."""

    QUEUED = "queued"
    RUNNING = "running"
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    CANCELLED = "cancelled"
    EXPIRED = "expired"

    @property
    def is_final(self) -> bool:
        """Whether the state is terminal."""
        return not TRANSITIONS[self]


TRANSITIONS: Final[Mapping[JobState, frozenset[JobState]]] = {
    JobState.QUEUED: frozenset({JobState.RUNNING, JobState.CANCELLED, JobState.EXPIRED, JobState.FAILED}),
    # Back to queued: its worker died, and the job waits to go on from its last save.
    # To expired: some crops of a request ran, then its deadline passed.
    JobState.RUNNING: frozenset(
        {JobState.QUEUED, JobState.SUCCEEDED, JobState.FAILED, JobState.CANCELLED, JobState.EXPIRED}
    ),
    JobState.SUCCEEDED: frozenset(),
    JobState.FAILED: frozenset(),
    JobState.CANCELLED: frozenset(),
    JobState.EXPIRED: frozenset(),
}


def states_before(state: JobState) -> tuple[JobState, ...]:
    """Return the states from which a job may go to `state`."""
    return tuple(before for before, after in TRANSITIONS.items() if state in after)


@dataclass(frozen=True, slots=True)
class Job:
    """The complete record of one durable unit of work.

    Times are Unix seconds by the clock of Redis. `revision` grows by one with every change, and is the job's
    ETag. `progress` runs from 0 to 1. `attempts` counts how often a worker took the job up, `deaths`
    the worker processes that died in it one after the other without getting past `died_at_step`. `chip_time_s` is
    the charge to the job's user. `home` is the hardware identifier of the only chip that may run the job, empty if
    any may. `operations` counts those of a program. `webhook` is the address, or the id of the webhook,
    that hears of the job's end, empty for none. `trace` is the span of the request that submitted it, in hexadecimal
    digits, empty if that is not sampled.
    """

    id: str
    kind: JobKind
    user: str
    model: str
    params: Mapping[str, Any]
    state: JobState
    created_at: float
    revision: int = 1
    updated_at: float | None = None
    started_at: float | None = None
    finished_at: float | None = None
    progress: float = 0.0
    metrics: Mapping[str, Any] = field(default_factory=dict)
    result: Mapping[str, Any] | None = None
    error: Mapping[str, str] | None = None
    provenance: Mapping[str, Any] = field(default_factory=dict)
    attempts: int = 0
    deaths: int = 0
    died_at_step: int = -1
    chip_time_s: float = 0.0
    cancel_requested: bool = False
    home: str = ""
    operations: int = 0
    webhook: str = ""
    trace: str = ""

    @classmethod
    def from_hash(cls, stored: Mapping[bytes, bytes]) -> Self:
        """Decode a job from its Redis hash: one JSON text per field."""
        known = {f.name for f in fields(cls)}
        values = {name.decode(): json.loads(text) for name, text in stored.items() if name.decode() in known}
        values["kind"] = JobKind(values["kind"])
        values["state"] = JobState(values["state"])
        return cls(**values)


def to_hash(values: Mapping[str, Any]) -> dict[str, str]:
    """Encode fields of a job for its Redis hash; the inverse of `Job.from_hash`."""
    return {name: json.dumps(value, separators=(",", ":")) for name, value in values.items()}


def record_fields(job: Job, **more: Any) -> dict[str, str]:
    """Encode the fields of a new job that are stored; the others have their defaults until they change."""
    return to_hash(
        {
            "id": job.id,
            "kind": job.kind,
            "user": job.user,
            "model": job.model,
            "params": job.params,
            "state": job.state,
            **({"home": job.home} if job.home else {}),
            **({"webhook": job.webhook} if job.webhook else {}),
            **({"trace": job.trace} if job.trace else {}),
            **more,
        }
    )


def flat_fields(fields: Mapping[str, str]) -> list[str]:
    """Return names and values alternately, as scripts take them."""
    return [text for pair in fields.items() for text in pair]
