"""The plan of a training: its phases and steps."""

from dataclasses import dataclass
from typing import Literal, assert_never

from worker.learning.arithmetic import Execution
from worker.learning.recipes import Recipe

TrainingExecution = Literal["mock", "chip", "float32", "mock-then-chip"]
"""Where a network learns; "mock-then-chip" learns in mock arithmetic first, then with the chip in the loop."""

StepKind = Literal["training", "validation", "testing", "scaling"]
"""Learn from a mini-batch, read one of the held-out crops or of the test set, or one to fit the scale of the scores."""


@dataclass(frozen=True, slots=True)
class Phase:
    """Some epochs in one place, with a learning-rate schedule and an optimiser of their own.

    Attributes:
        execution: Where the network is computed.
        epochs: Passes over the training set, >= 1.
        learning_rate: The highest of the schedule, in weight LSB.
    """

    execution: Execution
    epochs: int
    learning_rate: float


@dataclass(frozen=True, slots=True)
class Place:
    """One step of a plan.

    Attributes:
        kind: Of the step.
        phase: Its number, from 0; steps that fit the scale of the scores belong to the last one.
        epoch: Counted from 0 through all phases; the last one's for steps that fit the scale.
        epoch_in_phase: Counted from 0 in its phase.
        index: Which mini-batch of its kind in this epoch, from 0.
    """

    kind: StepKind
    phase: int
    epoch: int
    epoch_in_phase: int
    index: int


@dataclass(frozen=True, slots=True)
class Plan:
    """All steps of a training: per epoch the mini-batches learned from, validation and test, at last the scale.

    Attributes:
        phases: In order, at least one.
        train_steps: Mini-batches learned from per epoch.
        validation_steps: Mini-batches of held-out crops after each epoch, by which a phase may end early; 0 for none.
        test_steps: Mini-batches of the test after each epoch.
        scaling_steps: Mini-batches read to fit the scale of the scores.
    """

    phases: tuple[Phase, ...]
    train_steps: int
    test_steps: int
    scaling_steps: int
    validation_steps: int = 0

    @property
    def epochs_total(self) -> int:
        """Epochs of all phases."""
        return sum(phase.epochs for phase in self.phases)

    @property
    def epoch_steps(self) -> int:
        """Steps of one epoch, validation and test included."""
        return self.train_steps + self.validation_steps + self.test_steps

    def end_of_phase(self, number: int) -> int:
        """Return the step after the last epoch of a phase."""
        return sum(phase.epochs for phase in self.phases[: number + 1]) * self.epoch_steps

    @property
    def steps_total(self) -> int:
        """Steps of the whole training."""
        return self.epochs_total * self.epoch_steps + self.scaling_steps

    def place_of(self, step: int) -> Place:
        """Return the place of step `step`, from 0; steps beyond the end count as fitting the scale."""
        epoch, index = divmod(step, self.epoch_steps)
        if epoch >= self.epochs_total:
            index = step - self.epochs_total * self.epoch_steps
            last = self.phases[-1]
            return Place("scaling", len(self.phases) - 1, self.epochs_total - 1, last.epochs - 1, index)
        phase, epoch_in_phase = 0, epoch
        while epoch_in_phase >= self.phases[phase].epochs:
            epoch_in_phase -= self.phases[phase].epochs
            phase += 1
        if index < self.train_steps:
            return Place("training", phase, epoch, epoch_in_phase, index)
        index -= self.train_steps
        if index < self.validation_steps:
            return Place("validation", phase, epoch, epoch_in_phase, index)
        return Place("testing", phase, epoch, epoch_in_phase, index - self.validation_steps)


def plan_phases(
    recipe: Recipe, execution: TrainingExecution, *, goes_on: bool, learns: bool = True
) -> tuple[Phase, ...]:
    """Divide a training into phases.

    Args:
        recipe: The recipe of the phases.
        execution: Where to learn.
        goes_on: Whether the network has learned before; on the chip it then takes the short phase of a
            training with the chip in the loop, not the whole recipe.
        learns: False: the plan has no steps of training, and one epoch in the place where the network learns last.
    """
    in_the_loop = Phase("chip", recipe.chip_epochs, recipe.chip_learning_rate)
    if not learns:
        return (Phase("chip" if execution == "mock-then-chip" else execution, 1, recipe.learning_rate),)
    match execution:
        case "mock-then-chip":
            return Phase("mock", recipe.epochs, recipe.learning_rate), in_the_loop
        case "chip" if goes_on:
            return (in_the_loop,)
        case "mock" | "chip" | "float32":
            return (Phase(execution, recipe.epochs, recipe.learning_rate),)
        case _:
            assert_never(execution)
