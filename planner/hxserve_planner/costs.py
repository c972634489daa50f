"""Costs of the chips' work in a plan: defaults per backend with their sources, or measurements of a service."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from hxserve_planner.question import Backend, Question
from services.jobs.params import TrainingParams
from services.jobs.phases import DEFAULT_RUNS, Phase
from services.jobs.record import JobKind
from services.jobs.workloads import plan_work


@dataclass(frozen=True, slots=True)
class ChipPace:
    """Seconds of one backend.

    Attributes:
        call_s: Fixed part of a chip call that reads crops with the network 784-256-256-10.
        crop_s: Added by each crop.
        chip_step: Time of a mini-batch in the chip's loop over that in mock arithmetic; None: the chip call adds to it.
        canary_s: One canary.
        operations_s: The three multiply-accumulates of a forward pass of that network at batch 200.
        said: The source.
    """

    call_s: float
    crop_s: float
    chip_step: float | None
    canary_s: float
    operations_s: tuple[float, ...]
    said: str


_ON_HOST_S: Final = (5e-3, 2.5e-3, 1.2e-3)

PACES: Final[Mapping[Backend, ChipPace]] = {
    "mock": ChipPace(
        0.5e-3, 22e-6, 1.0, 0.0, _ON_HOST_S, "mock arithmetic, 256 crops in 6 ms on a busy core"
    ),
    "emulator": ChipPace(
        0.5e-3, 22e-6, 1.0, 0.01, _ON_HOST_S, "the virtual chip is about as fast as the mock"
    ),
    "hxtorch": ChipPace(
        12e-3,
        1 / 780,
        None,
        0.5,
        (0.168, 0.043, 0.043),
        "13 ms for one crop, 780 crops/s at large batch (published: 380 to 1,230)",
    ),
}

LOOK_S: Final = 1.0e-3
"""From the bell to a choice, before every unit. Measured beside the API on two cores, docs/capacity.md."""

STORE_S: Final = 1.0e-3
"""Claiming crops and storing their answers, for every batch. Measured there too."""

PART_CROPS: Final = 64
"""As in services/crops/store.py; a test holds it."""


@dataclass(frozen=True, slots=True)
class StepBlock:
    """Consecutive mini-batches of equal length."""

    steps: int
    step_s: float


@dataclass(frozen=True, slots=True)
class Costs:
    """Everything that takes time in a plan, in seconds, and where each number is from."""

    call_s: float
    crop_s: float
    look_s: float
    store_s: float
    training: tuple[StepBlock, ...]
    fixed_s: float
    canary_s: float
    said: Mapping[str, str]
    operations_s: tuple[float, ...] = ()
    """Chip time of the operations of a program, in turn."""

    @property
    def training_s(self) -> float:
        """Chip time of a whole training."""
        return sum(block.steps * block.step_s for block in self.training)

    @property
    def operation_s(self) -> float:
        """Mean time of an operation of a program whose chip is idle, from sending it to its answer."""
        return sum(self.operations_s) / len(self.operations_s) + self.look_s + self.store_s

    def call_of(self, crops: int) -> float:
        """Return the duration of a chip call with `crops` crops."""
        return self.call_s + crops * self.crop_s


def costs_of(question: Question) -> Costs:
    """Return the costs of a question's backend and training, measured where the question has measurements."""
    pace, measured = PACES[question.backend], question.measured
    call_s = pace.call_s if measured.call_s is None else measured.call_s
    crop_s = pace.crop_s if measured.crop_s is None else measured.crop_s
    params = TrainingParams(
        recipe=question.recipe,
        dataset=question.dataset,
        execution=question.execution,
        epochs=question.epochs,
        batch_size=question.batch_size,
    )
    work = plan_work(JobKind.TRAINING, params, "", question.backend, question.dataset)
    if measured.step_s is None:
        training = tuple(StepBlock(p.steps, _step_s(p, pace, call_s, crop_s)) for p in work.phases)
    else:
        training = (StepBlock(work.steps, measured.step_s),)
    by_default = "default: "
    operations_s, operations_said = _operations(question, pace)
    return Costs(
        call_s=call_s,
        crop_s=crop_s,
        look_s=LOOK_S if measured.look_s is None else measured.look_s,
        store_s=STORE_S if measured.store_s is None else measured.store_s,
        training=training,
        fixed_s=work.fixed_s if measured.fixed_s is None else measured.fixed_s,
        canary_s=pace.canary_s,
        said={
            "crops": "measured" if measured.crop_s is not None else by_default + pace.said,
            "look": "measured" if measured.look_s is not None else by_default + "docs/capacity.md",
            "store": "measured" if measured.store_s is not None else by_default + "docs/capacity.md",
            "trainings": "measured"
            if measured.step_s is not None
            else by_default
            + "reference of docs/decisions/0016"
            + (", and the chip's calls" if pace.chip_step is None else ""),
            "operations": operations_said,
        },
        operations_s=operations_s,
    )


def _operations(question: Question, pace: ChipPace) -> tuple[tuple[float, ...], str]:
    """Return the chip time of a program's operations, and its source."""
    if question.operation_ms:
        return tuple(each / 1000 for each in question.operation_ms), "given"
    if question.measured.operation_s is not None:
        return (question.measured.operation_s,), "measured"
    return pace.operations_s, "default: 784-256-256-10 at batch 200, docs/capacity.md"


def _step_s(phase: Phase, pace: ChipPace, call_s: float, crop_s: float) -> float:
    if phase.execution != "chip":
        return phase.step_s
    if pace.chip_step is None:
        return phase.step_s + call_s + phase.step_crops * crop_s * phase.crop_runs / DEFAULT_RUNS
    return phase.step_s * pace.chip_step
