"""Learning with the chip in the loop, on the virtual chip of the emulator."""

from collections.abc import Callable, Iterator
from dataclasses import replace

import pytest
import torch

import hxtorch_emulator as emulator
from hxtorch_emulator import connection
from hxtorch_emulator.chip import VirtualChip
from services.networks.network import Network
from worker.learning.arithmetic import Perceptron
from worker.learning.datasets import Dataset
from worker.learning.evaluation import EvaluationReport, Evaluator
from worker.learning.plan import TrainingExecution
from worker.learning.recipes import resolve
from worker.learning.training import Trainer

SPEC = Network.perceptron((40, 30), num_sends=(3, 8, 8))

Build = Callable[..., Trainer]


@pytest.fixture(autouse=True)
def _open_chip() -> Iterator[None]:
    """A calibrated virtual chip whose clock stands still."""
    former = connection.chosen_chip()
    emulator.release_hardware()
    connection.choose_chip(VirtualChip("in-the-loop", clock=lambda: 1e9))
    torch.manual_seed(1)
    emulator.init_hardware()
    yield
    emulator.release_hardware()
    connection.choose_chip(former)


@pytest.fixture
def build(digits: Dataset, perceptron: Perceptron) -> Build:
    small = replace(
        digits,
        train_images=digits.train_images[:432],
        train_labels=digits.train_labels[:432],
        test_images=digits.train_images[432:1032],
        test_labels=digits.train_labels[432:1032],
    )

    def build_trainer(
        execution: TrainingExecution = "mock-then-chip",
        start_from: dict[str, torch.Tensor] | None = None,
        **overrides: object,
    ) -> Trainer:
        defaults = {"epochs": 2, "chip_epochs": 1, "batch_size": 50, "min_steps_per_epoch": 0}
        recipe = resolve("strong", defaults | overrides)
        return Trainer(recipe, SPEC, small, perceptron, execution=execution, start_from=start_from)

    return build_trainer


def finish(trainer: Trainer) -> Trainer:
    while not trainer.finished:
        trainer.step()
    return trainer


def read(trainer: Trainer, dataset: Dataset, perceptron: Perceptron, repeats: int = 1) -> EvaluationReport:
    evaluator = Evaluator(
        trainer.spec,
        trainer.weights(),
        dataset.test_images,
        dataset.test_labels,
        perceptron,
        execution="chip",
        logit_scale=trainer.progress.score_scale,
        repeats=repeats,
    )
    while not evaluator.finished:
        evaluator.step()
    return evaluator.report()


def test_mock_then_chip_is_one_training_of_two_phases(build: Build) -> None:
    trainer = finish(build())

    assert [metrics.epoch for metrics in trainer.progress.epoch_metrics] == [0, 1, 2]
    assert [metrics.execution for metrics in trainer.progress.epoch_metrics] == ["mock", "mock", "chip"]
    assert trainer.steps_total == 3 * (9 + 2) + 1


def test_the_phase_on_the_chip_follows_its_own_schedule(build: Build) -> None:
    trainer = finish(build(learning_rate=1.0, chip_learning_rate=0.1, chip_epochs=2, schedule="constant"))

    assert [metrics.learning_rate for metrics in trainer.progress.epoch_metrics] == [1.0, 1.0, 0.1, 0.1]


def test_a_training_in_the_loop_is_a_mock_training_and_one_that_goes_on_from_it(build: Build) -> None:
    mock = finish(build("mock"))
    whole = build()
    while whole.epoch < 2:
        whole.step()

    going_on = build("chip", start_from=mock.weights())

    assert all(torch.equal(going_on.weights()[name], tensor) for name, tensor in whole.weights().items())
    assert going_on.plan.phases == whole.plan.phases[1:]


@pytest.mark.parametrize("steps", [3, 21, 22, 23, 31, 33])
def test_with_a_clock_that_stands_still_an_interrupted_training_ends_with_the_same_bits(
    build: Build, steps: int
) -> None:
    expected = finish(build())
    trainer = build()
    for _ in range(steps):
        trainer.step()

    resumed = build()
    resumed.load_state(trainer.state())
    finish(resumed)

    ours, theirs = resumed.weights(), expected.weights()
    assert all(torch.equal(ours[name], theirs[name]) for name in theirs)
    assert resumed.progress.epoch_metrics == expected.progress.epoch_metrics
    assert resumed.progress.score_scale == expected.progress.score_scale


def test_a_network_that_learned_in_mock_loses_on_the_chip_and_regains_in_the_loop(
    digits: Dataset, perceptron: Perceptron
) -> None:
    recipe = resolve("strong", {"epochs": 3, "chip_epochs": 1, "min_steps_per_epoch": 30})
    mock = finish(Trainer(recipe, SPEC, digits, perceptron))
    looped = finish(
        Trainer(recipe, mock.spec, digits, perceptron, execution="chip", start_from=mock.weights())
    )

    transferred, regained = (read(trainer, digits, perceptron).accuracy for trainer in (mock, looped))

    assert transferred < mock.progress.epoch_metrics[-1].test_accuracy
    assert regained > transferred


def test_repeated_readings_lose_less_to_noise(build: Build, digits: Dataset, perceptron: Perceptron) -> None:
    trainer = finish(build())

    once, often = (read(trainer, digits, perceptron, repeats).loss for repeats in (1, 6))

    assert often < once


def test_learning_on_the_chip_needs_an_open_one(build: Build) -> None:
    emulator.release_hardware()
    trainer = build("chip")

    with pytest.raises(RuntimeError, match="No connection allocated"):
        trainer.step()
