"""The phases of long work: mini-batches of one kind, counted from params, with a reference time for each.

The reference is the time of a mini-batch on one core of an ordinary processor in mock arithmetic; the real time
is learned, see `services/scheduling/costs.py`.
"""

import hashlib
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Final, assert_never

from services.jobs.mixtures import BUILT_IN_CROPS, CropsOf, crops_of, crops_shown
from services.jobs.params import (
    EvaluationExecution,
    EvaluationParams,
    StaircaseParams,
    StairName,
    TrainingExecution,
    TrainingParams,
)
from services.jobs.recipes import RECIPES, RecipeFacts
from services.networks.network import Network
from services.settings import CHIPLESS

_READ_BATCH: Final = 500
DEFAULT_NETWORK: Final = Network.perceptron()
DEFAULT_RUNS: Final = DEFAULT_NETWORK.runs
"""Runs of the whole chip for a crop in the network 784-256-256-10."""
_RUN_S: Final = 0.2e-3
"""A run of a real chip in a large batch. Source: `VECTOR_S` in worker/chip/real_time.py."""


@dataclass(frozen=True, slots=True)
class Phase:
    """Mini-batches of one kind.

    Attributes:
        kind: Of work, the most exact name under which its pace is learned.
        execution: Where they are computed; `loop` is the part of a staircase that learns in the chip's loop.
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
        is_real = self.execution in {"chip", "loop"} and self.kind.startswith("hxtorch/")
        return self.step_s + (self.step_crops * self.crop_runs * _RUN_S if is_real else 0.0)

    @property
    def wider_kind(self) -> str:
        """The name of the pace of such work of any shape."""
        return "/".join(self.kind.split("/")[:3])


def training_execution(params: TrainingParams, backend: str) -> TrainingExecution:
    """Return where a training learns when a worker with this backend runs it."""
    in_one_place = RECIPES[params.recipe].adapts or params.epochs == 0
    on_chip: TrainingExecution = "chip" if in_one_place else "mock-then-chip"
    return params.execution or ("mock" if backend in CHIPLESS else on_chip)


def evaluation_execution(params: EvaluationParams, backend: str) -> EvaluationExecution:
    """Return where a version is measured when a worker with this backend does it."""
    return params.execution or ("mock" if backend in CHIPLESS else "chip")


def stairs_of(params: StaircaseParams, backend: str) -> tuple[StairName, ...]:
    """Return the steps of a staircase when a worker with this backend measures it."""
    if backend in CHIPLESS:
        return "float32", "quantised", "mock"
    return "float32", "quantised", "mock", "chip", *(("loop",) if params.training else ())


def staircase_phases(
    params: StaircaseParams, model: str, backend: str, auto_dataset: str, stored: CropsOf
) -> tuple[Phase, ...]:
    """Return a phase for each step of a staircase."""
    phases = []
    for stair in stairs_of(params, backend):
        name = f"{backend}/staircase/{stair}"
        if stair == "loop":
            assert params.training is not None
            (phase,) = training_phases(params.training, model, backend, auto_dataset, stored)
            named = phase.kind.split("/", maxsplit=3)[-1]
            phases.append(replace(phase, kind=f"{name}/{named}", execution=stair))
        else:
            phases.append(reading_phase(name, stair, params.dataset, model, auto_dataset, stored))
    return tuple(phases)


def reading_phase(
    name: str,
    execution: str,
    dataset: str | Mapping[str, float],
    tail: str,
    auto_dataset: str,
    stored: CropsOf,
    readings: int = 1,
) -> Phase:
    """Return the reading of the test crops of a data set by a version whose network is not known here.

    Args:
        name: backend, kind and execution: the name of the pace of such work of any shape.
        execution: where it is computed.
        dataset: of the job.
        tail: of the exact name of the pace, with the model.
        auto_dataset: the data set that `auto` stands for.
        stored: counts the crops of stored data sets.
        readings: of each crop in a mini-batch.
    """
    test = sum(crops.test for crops, _ in crops_of(dataset, auto_dataset, stored))
    steps = max(1, math.ceil(test / _READ_BATCH))
    crops = readings * test / steps
    kind = f"{name}/{_kind_of(dataset, auto_dataset)}/{tail}"
    return Phase(kind, execution, steps, reading_s(crops, DEFAULT_NETWORK), crops)


def training_phases(
    params: TrainingParams, model: str, backend: str, auto_dataset: str, stored: CropsOf
) -> tuple[Phase, ...]:
    """Return the phases of a training, the fit of its confidence included."""
    facts, learns = RECIPES[params.recipe], params.epochs != 0
    dataset = crops_of(params.dataset, auto_dataset, stored)
    goes_on = params.start_from is not None
    # The network of a version to go on from is not known here; its pace is learned under the model's name.
    network = DEFAULT_NETWORK if goes_on else params.network
    shape = model if goes_on else shape_of(network)
    batch_size = params.batch_size or facts.batch_size

    shown = sum(
        crops_shown(crops.train - (crops.held_out if facts.holds_out else 0), weight)
        for crops, weight in dataset
    )
    shown *= max(1, math.ceil(facts.least_steps * batch_size / max(shown, 1))) if learns else 0
    test = sum(crops.test for crops, _ in dataset)
    held_out = sum(crops.train if crops.is_stored and not learns else crops.held_out for crops, _ in dataset)
    train_steps = math.ceil(shown / batch_size)
    scaling_steps = math.ceil(held_out / _READ_BATCH)
    read, read_steps = test, math.ceil(test / _READ_BATCH)
    if facts.validates and learns:
        read, read_steps = test + held_out, read_steps + scaling_steps
    epoch_s = _all_s(_learning_s, shown, train_steps, network) + _all_s(reading_s, read, read_steps, network)
    scaling_s = _all_s(reading_s, held_out, scaling_steps, network)

    phases = []
    parts = _parts(params, facts, backend)
    for number, (execution, epochs) in enumerate(parts):
        is_last = number == len(parts) - 1
        steps = epochs * (train_steps + read_steps) + (scaling_steps if is_last else 0)
        crops = epochs * (shown + read) + (held_out if is_last else 0)
        total_s = epochs * epoch_s + (scaling_s if is_last else 0.0)
        named = f"{params.recipe}/{_kind_of(params.dataset, auto_dataset)}/{batch_size}/{shape}"
        kind = f"{backend}/training/{execution}/{named}"
        phases.append(Phase(kind, execution, steps, total_s / steps, crops / steps, network.runs))
    return tuple(phases)


def _all_s(step_s: Callable[[float, Network], float], crops: int, steps: int, network: Network) -> float:
    """Return the reference time of all mini-batches that these crops are divided into."""
    return steps * step_s(crops / steps, network) if steps else 0.0


def _kind_of(dataset: str | Mapping[str, float], auto_dataset: str) -> str:
    """Return the name under which the pace with a data set is learned: all stored ones and mixtures have one."""
    named = auto_dataset if dataset == "auto" else dataset
    return named if isinstance(named, str) and named in BUILT_IN_CROPS else "stored"


def _parts(params: TrainingParams, facts: RecipeFacts, backend: str) -> list[tuple[str, int]]:
    """Return where a training learns, and for how many epochs."""
    epochs, chip_epochs = params.epochs or facts.epochs, params.chip_epochs or facts.chip_epochs
    if params.epochs == 0:
        return [(training_execution(params, backend), 1)]
    match execution := training_execution(params, backend):
        case "mock-then-chip":
            return [("mock", epochs), ("chip", chip_epochs)]
        case "chip" if params.start_from is not None:
            return [("chip", chip_epochs)]
        case "mock" | "chip" | "float32":
            return [(execution, epochs)]
        case _:
            assert_never(execution)


def shape_of(network: Network) -> str:
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


def reading_s(crops: float, network: Network) -> float:
    """Return the reference time of reading a mini-batch. Source: the same."""
    return 1e-3 + crops * (1e-6 + 30e-12 * _macs(network) + 1e-9 * network.window_values)
