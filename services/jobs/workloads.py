"""The mini-batches of long work, counted from a job's params, with a reference time for each.

The reference is the time of a mini-batch on one core of an ordinary processor in mock arithmetic; the real time
is learned, see `services/scheduling/costs.py`.
"""

import hashlib
import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Final, assert_never

from services.jobs.params import (
    CalibrationParams,
    EvaluationExecution,
    EvaluationParams,
    Params,
    TrainingExecution,
    TrainingParams,
    UploadParams,
    validate_params,
)
from services.jobs.recipes import RECIPES, RecipeFacts
from services.jobs.record import Job, JobKind
from services.networks.network import Network
from services.settings import CHIPLESS

TRAIN_CROPS: Final[Mapping[str, int]] = {"mnist": 60_000, "digits": 1437}
TEST_CROPS: Final[Mapping[str, int]] = {"mnist": 10_000, "digits": 360}
_READ_BATCH: Final = 500
UPLOAD_SCALING_CROPS: Final = 1000
"""Test crops on which an uploaded version's confidence is fitted."""
UPLOAD_BATCH: Final = 20
"""So few that the largest network gives way to crops within half a second."""
_HELD_OUT: Final = 0.05
_DEFAULT_NETWORK: Final = Network.perceptron()
DEFAULT_RUNS: Final = _DEFAULT_NETWORK.runs
"""Runs of the whole chip for a crop in the network 784-256-256-10."""
_RUN_S: Final = 0.2e-3
"""A run of a real chip in a large batch. Source: `VECTOR_S` in worker/chip/real_time.py."""
_CALIBRATION_S: Final = 60.0


@dataclass(frozen=True, slots=True)
class Phase:
    """Mini-batches of one kind.

    Attributes:
        kind: Of work, the most exact name under which its pace is learned.
        execution: Where they are computed.
        steps: How many.
        step_s: Reference time of one, on average, without a real chip's own.
        step_crops: How many crops pass through the network in one, on average; 0 where none do.
        crop_runs: How often the whole chip runs for a crop.
    """

    kind: str
    execution: str
    steps: int
    step_s: float
    step_crops: float = 0.0
    crop_runs: int = DEFAULT_RUNS

    @property
    def reference_s(self) -> float:
        """Reference time of one mini-batch, on average: on a real chip, the chip's own time comes on top."""
        is_real = self.execution == "chip" and self.kind.startswith("hxtorch/")
        return self.step_s + (self.step_crops * self.crop_runs * _RUN_S if is_real else 0.0)

    @property
    def wider_kind(self) -> str:
        """The name of the pace of such work of any shape."""
        return "/".join(self.kind.split("/")[:3])


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


def workload_of(job: Job, backend: str, auto_dataset: str) -> Workload:
    """Return the mini-batches of a job.

    `auto_dataset` is the data set that `auto` stands for.

    Raises:
        InvalidInputError: its params are not those of its kind.
    """
    return plan_work(job.kind, validate_params(job.kind, job.params), job.model, backend, auto_dataset)


def plan_work(kind: JobKind, params: Params, model: str, backend: str, auto_dataset: str) -> Workload:
    """Return the mini-batches of work with these params; see `workload_of`."""
    fixed = f"{backend}/{kind}/fixed"
    match params:
        case TrainingParams():
            return Workload(_training(params, model, backend, auto_dataset), fixed, 0.05)
        case EvaluationParams():
            dataset = auto_dataset if params.dataset == "auto" else params.dataset
            steps = math.ceil(TEST_CROPS[dataset] / _READ_BATCH)
            crops = params.repeats * TEST_CROPS[dataset] / steps
            execution = evaluation_execution(params, backend)
            name = f"{backend}/{kind}/{execution}/{dataset}/{params.repeats}/{model}"
            phase = Phase(name, execution, steps, _reading_s(crops, _DEFAULT_NETWORK), crops)
            return Workload((phase,), fixed, 0.02)
        case CalibrationParams():
            return Workload((Phase(f"{backend}/{kind}/chip", "chip", 1, _CALIBRATION_S),), fixed, 0.02)
        case UploadParams():
            crops = min(UPLOAD_SCALING_CROPS, TEST_CROPS[auto_dataset])
            steps = math.ceil(crops / UPLOAD_BATCH)
            name = f"{backend}/{kind}/mock/{auto_dataset}/{_shape_of(params.network)}"
            step_s = _reading_s(crops / steps, params.network)
            return Workload((Phase(name, "mock", 1 + steps, step_s, crops / steps),), fixed, 0.05)
        case _:
            raise AssertionError(f"work of kind {kind} is not done in slices")


def training_execution(params: TrainingParams, backend: str) -> TrainingExecution:
    """Return where a training learns when a worker with this backend runs it."""
    return params.execution or ("mock" if backend in CHIPLESS else "mock-then-chip")


def evaluation_execution(params: EvaluationParams, backend: str) -> EvaluationExecution:
    """Return where a version is measured when a worker with this backend does it."""
    return params.execution or ("mock" if backend in CHIPLESS else "chip")


def _training(params: TrainingParams, model: str, backend: str, auto_dataset: str) -> tuple[Phase, ...]:
    facts = RECIPES[params.recipe]
    dataset = auto_dataset if params.dataset == "auto" else params.dataset
    goes_on = params.start_from is not None
    # The network of a version to go on from is not known here; its pace is learned under the model's name.
    network = _DEFAULT_NETWORK if goes_on else params.network
    shape = model if goes_on else _shape_of(network)
    batch_size = params.batch_size or facts.batch_size

    held_out = max(1, round(TRAIN_CROPS[dataset] * _HELD_OUT))
    learned = TRAIN_CROPS[dataset] - (held_out if facts.holds_out else 0)
    repeats = max(1, math.ceil(facts.least_steps * batch_size / learned))
    train_steps = math.ceil(repeats * learned / batch_size)
    test_steps = math.ceil(TEST_CROPS[dataset] / _READ_BATCH)
    scaling_steps = math.ceil(held_out / _READ_BATCH)
    epoch_s = train_steps * _learning_s(repeats * learned / train_steps, network) + test_steps * _reading_s(
        TEST_CROPS[dataset] / test_steps, network
    )
    scaling_s = scaling_steps * _reading_s(held_out / scaling_steps, network)

    phases = []
    parts = _parts(params, facts, backend)
    for number, (execution, epochs) in enumerate(parts):
        is_last = number == len(parts) - 1
        steps = epochs * (train_steps + test_steps) + (scaling_steps if is_last else 0)
        crops = epochs * (repeats * learned + TEST_CROPS[dataset]) + (held_out if is_last else 0)
        total_s = epochs * epoch_s + (scaling_s if is_last else 0.0)
        kind = f"{backend}/training/{execution}/{params.recipe}/{dataset}/{batch_size}/{shape}"
        phases.append(Phase(kind, execution, steps, total_s / steps, crops / steps, network.runs))
    return tuple(phases)


def _parts(params: TrainingParams, facts: RecipeFacts, backend: str) -> list[tuple[str, int]]:
    """Return where a training learns, and for how many epochs."""
    epochs, chip_epochs = params.epochs or facts.epochs, params.chip_epochs or facts.chip_epochs
    match execution := training_execution(params, backend):
        case "mock-then-chip":
            return [("mock", epochs), ("chip", chip_epochs)]
        case "chip" if params.start_from is not None:
            return [("chip", chip_epochs)]
        case "mock" | "chip" | "float32":
            return [(execution, epochs)]
        case _:
            assert_never(execution)


def _shape_of(network: Network) -> str:
    """Return a name of the network's shape: hidden layers, or a digest of the layers."""
    short = network.short()
    if short is not None:
        return "x".join(map(str, short.hidden))
    return hashlib.sha256(network.model_dump_json().encode()).hexdigest()[:12]


def _macs(network: Network) -> int:
    """Return the number of multiply-accumulates for one crop."""
    return sum(product.macs for product in network.products)


def _learning_s(crops: float, network: Network) -> float:
    """Return the reference time of learning from a mini-batch. Source: docs/decisions/0016-honest-waiting.md."""
    return 1.5e-3 + crops * (6e-6 + 75e-12 * _macs(network) + 2e-9 * network.window_values)


def _reading_s(crops: float, network: Network) -> float:
    """Return the reference time of reading a mini-batch. Source: the same."""
    return 1e-3 + crops * (1e-6 + 30e-12 * _macs(network) + 1e-9 * network.window_values)
