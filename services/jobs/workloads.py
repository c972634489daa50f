"""The mini-batches of a job, counted from its params before it runs."""

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Final

from services.jobs.mixtures import BUILT_IN_CROPS, CropsOf, no_stored_crops
from services.jobs.params import (
    BatchParams,
    CalibrationParams,
    ComparisonParams,
    EvaluationParams,
    ImportParams,
    Params,
    StaircaseParams,
    TrainingParams,
    UploadParams,
    validate_params,
)
from services.jobs.phases import (
    DEFAULT_NETWORK,
    Phase,
    evaluation_execution,
    reading_phase,
    reading_s,
    shape_of,
    staircase_phases,
    training_phases,
)
from services.jobs.record import Job, JobKind
from services.settings import CHIPLESS

TRAIN_CROPS: Final[Mapping[str, int]] = {name: crops.train for name, crops in BUILT_IN_CROPS.items()}
TEST_CROPS: Final[Mapping[str, int]] = {name: crops.test for name, crops in BUILT_IN_CROPS.items()}
UPLOAD_SCALING_CROPS: Final = 1000
"""Test crops on which an uploaded version's confidence is fitted."""
UPLOAD_BATCH: Final = 20
"""So few that the largest network gives way to crops within half a second."""
IMPORT_STEP_BYTES: Final = 2**16
"""Bytes of uploaded files that an import reads in a step, or fewer if that takes long."""
_IMPORT_STEP_S: Final = 5e-3
_BATCH_CROPS: Final = 256
_CALIBRATION_S: Final = 60.0


@dataclass(frozen=True, slots=True)
class Workload:
    """All mini-batches of a job, and its fixed time.

    Attributes:
        phases: In the order in which they are run.
        fixed_kind: The name under which its beginning and its end are learned.
        fixed_s: Reference of taking it up and ending it.
    """

    phases: tuple[Phase, ...]
    fixed_kind: str
    fixed_s: float

    @property
    def steps(self) -> int:
        """Mini-batches in all."""
        return sum(phase.steps for phase in self.phases)

    def after(self, done: int) -> "Workload":
        """Return the workload that is left after `steps` mini-batches."""
        left = []
        for phase in self.phases:
            skipped = min(done, phase.steps)
            done -= skipped
            left.append(replace(phase, steps=phase.steps - skipped))
        return Workload(tuple(left), self.fixed_kind, self.fixed_s)


def workload_of(job: Job, backend: str, auto_dataset: str, stored: CropsOf = no_stored_crops) -> Workload:
    """Return the mini-batches of a job.

    `auto_dataset` is the data set that `auto` stands for; `stored` counts the crops of stored ones.

    Raises:
        InvalidInputError: its params are not those of its kind.
        DatasetNotFoundError: its data set was deleted.
        DatasetDamagedError: the manifest of its data set is damaged.
    """
    params = validate_params(job.kind, job.params)
    if isinstance(params, BatchParams) and "steps_total" in job.metrics:  # the worker has counted the crops
        params = params.model_copy(update={"expected_crops": int(job.metrics["steps_total"])})
    return plan_work(job.kind, params, job.model, backend, auto_dataset, stored)


def plan_work(
    kind: JobKind,
    params: Params,
    model: str,
    backend: str,
    auto_dataset: str,
    stored: CropsOf = no_stored_crops,
) -> Workload:
    """Return the mini-batches of work with these params; see `workload_of`."""
    phases: tuple[Phase, ...]
    match params:
        case TrainingParams():
            phases, fixed_s = training_phases(params, model, backend, auto_dataset, stored), 0.05
        case StaircaseParams():
            phases, fixed_s = staircase_phases(params, model, backend, auto_dataset, stored), 0.02
        case ComparisonParams():
            execution, repeats = evaluation_execution(params, backend), params.repeats
            name = f"{backend}/{kind}/{execution}"
            once = reading_phase(name, execution, params.dataset, model, auto_dataset, stored, readings=2)
            phases, fixed_s = (replace(once, steps=repeats * once.steps),), 0.02
        case EvaluationParams():
            execution, repeats = evaluation_execution(params, backend), params.repeats
            name, tail = f"{backend}/{kind}/{execution}", f"{repeats}/{model}"
            phase = reading_phase(name, execution, params.dataset, tail, auto_dataset, stored, repeats)
            phases, fixed_s = (phase,), 0.02
        case BatchParams():
            execution, shape = "mock" if backend in CHIPLESS else "chip", f"{params.repeats}/{model}"
            crop_s = params.repeats * reading_s(_BATCH_CROPS, DEFAULT_NETWORK) / _BATCH_CROPS
            kind_of = f"{backend}/{kind}/{execution}/{shape}"
            crops = params.expected_crops or 1
            phases, fixed_s = (Phase(kind_of, execution, crops, crop_s, params.repeats),), 0.05
        case CalibrationParams():
            phases, fixed_s = (Phase(f"{backend}/{kind}/chip", "chip", 1, _CALIBRATION_S),), 0.02
        case UploadParams():
            crops = min(UPLOAD_SCALING_CROPS, TEST_CROPS[auto_dataset])
            steps = math.ceil(crops / UPLOAD_BATCH)
            name = f"{backend}/{kind}/mock/{auto_dataset}/{shape_of(params.network)}"
            step_s = reading_s(crops / steps, params.network)
            phases, fixed_s = (Phase(name, "mock", 1 + steps, step_s, crops / steps),), 0.05
        case ImportParams():
            phase = Phase(f"{backend}/{kind}/mock", "mock", import_steps(params.bytes), _IMPORT_STEP_S)
            phases, fixed_s = (phase,), 0.05
        case _:
            raise AssertionError(f"work of kind {kind} is not done in slices")
    return Workload(phases, f"{backend}/{kind}/fixed", fixed_s)


def import_steps(size_bytes: int) -> int:
    """Return the steps of the import of files of this size: each byte is hashed and then read, and the end is one."""
    return 1 + math.ceil(2 * size_bytes / IMPORT_STEP_BYTES)
