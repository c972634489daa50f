import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

from worker.learning.arithmetic import Execution, Perceptron
from worker.learning.datasets import Dataset
from worker.learning.errors import StateMismatchError
from worker.learning.measures import StepMetrics
from worker.learning.network_spec import NetworkSpec
from worker.learning.recipes import resolve
from worker.learning.training import Trainer
from worker.learning.training_state import TrainerState

SPEC = NetworkSpec(hidden_sizes=(40, 30))

Build = Callable[..., Trainer]


@pytest.fixture
def build(digits: Dataset, perceptron: Perceptron) -> Build:
    """Builds trainers that all do the same: 2 epochs of 9 training and 2 test steps on 410 crops."""
    small = replace(
        digits,
        train_images=digits.train_images[:410],
        train_labels=digits.train_labels[:410],
        test_images=digits.train_images[410:1010],
        test_labels=digits.train_labels[410:1010],
    )

    def build_trainer(
        recipe: str = "strong", spec: NetworkSpec = SPEC, execution: Execution = "mock", **overrides: object
    ) -> Trainer:
        defaults = {"epochs": 2, "batch_size": 50, "min_steps_per_epoch": 0}
        return Trainer(resolve(recipe, defaults | overrides), spec, small, perceptron, execution=execution)

    return build_trainer


def finish(trainer: Trainer) -> Trainer:
    while not trainer.finished:
        trainer.step()
    return trainer


def same_weights(first: Trainer, second: Trainer) -> bool:
    ours, theirs = first.weights(), second.weights()
    return ours.keys() == theirs.keys() and all(torch.equal(ours[name], theirs[name]) for name in ours)


def through_a_file(state: TrainerState, folder: Path) -> TrainerState:
    save_file(state.tensors, folder / "state.safetensors")
    return TrainerState(load_file(folder / "state.safetensors"), json.loads(json.dumps(state.facts)))


def test_every_step_is_one_mini_batch_and_the_test_comes_last(build: Build) -> None:
    trainer = build(epochs=1)

    steps: list[StepMetrics] = []
    while not trainer.finished:
        assert (trainer.epoch, trainer.step_in_epoch) == (0, len(steps))
        steps.append(trainer.step())

    assert [step.phase for step in steps] == ["training"] * 9 + ["testing"] * 2
    assert [step.crops for step in steps] == [50] * 8 + [10] + [500, 100]
    assert steps[-1].step == steps[-1].steps_total == trainer.steps_total == 11


def test_an_epochs_metrics_are_the_means_of_its_steps(build: Build) -> None:
    trainer = build(epochs=1)

    steps = []
    while not trainer.finished:
        steps.append(trainer.step())

    (metrics,) = trainer.epoch_metrics
    training, testing = steps[:9], steps[9:]
    assert metrics.train_loss == pytest.approx(sum(step.loss * step.crops for step in training) / 410)
    assert metrics.train_accuracy == pytest.approx(sum(step.accuracy * step.crops for step in training) / 410)
    assert metrics.test_loss == pytest.approx(sum(step.loss * step.crops for step in testing) / 600)
    assert metrics.test_accuracy == pytest.approx(sum(step.accuracy * step.crops for step in testing) / 600)


@pytest.mark.parametrize("recipe", ["notebook", "strong"])
def test_a_training_interrupted_anywhere_ends_with_the_same_bits(
    build: Build, tmp_path: Path, recipe: str
) -> None:
    expected = finish(build(recipe))

    trainer = build(recipe)
    for interruption in (1, 4, 4, 1, 1, 5, 2, 3):
        for _ in range(interruption):
            trainer.step()
        state = through_a_file(trainer.state(), tmp_path)
        foreign = build(recipe, seed=9)
        foreign.step()
        torch.manual_seed(77)
        trainer = build(recipe)
        trainer.load_state(state)
    finish(trainer)

    assert same_weights(trainer, expected)
    assert trainer.epoch_metrics == expected.epoch_metrics
    assert torch.equal(trainer.confusion, expected.confusion)
    assert int(trainer.confusion.sum()) == 600


def test_what_happens_between_two_steps_changes_nothing(build: Build, perceptron: Perceptron) -> None:
    expected = finish(build())
    trainer, other = build(), build("notebook", seed=4)

    while not trainer.finished:
        torch.randn(17)
        perceptron.set_mock_parameter(perceptron.MockParameter(noise_std=0.5, gain=0.004))
        trainer.step()
        other.step()

    assert same_weights(trainer, expected)


def test_a_step_leaves_the_generator_and_the_mock_parameter_as_they_were(
    build: Build, perceptron: Perceptron
) -> None:
    trainer = build()
    perceptron.set_mock_parameter(perceptron.MockParameter(noise_std=0.5, gain=0.004))
    torch.manual_seed(5)
    expected = torch.rand(3)

    torch.manual_seed(5)
    trainer.step()

    assert torch.equal(torch.rand(3), expected)
    assert perceptron.get_mock_parameter() == perceptron.MockParameter(noise_std=0.5, gain=0.004)


def test_one_and_two_threads_give_the_same_bits(build: Build) -> None:
    wide = NetworkSpec(hidden_sizes=(256, 256))
    one = build(spec=wide, batch_size=200)
    two = build(spec=wide, batch_size=200)

    finish(one)
    torch.set_num_threads(2)
    finish(two)

    assert same_weights(one, two)


def test_another_seed_gives_other_weights(build: Build) -> None:
    first, second = build(seed=1), build(seed=2)

    assert not same_weights(first, second)


def test_the_spec_of_a_trainer_states_the_number_of_sends(build: Build) -> None:
    assert build(spec=NetworkSpec()).spec.num_sends == (3, 5, 5)


@pytest.mark.parametrize(
    ("difference", "name"),
    [
        ({"seed": 3}, "recipe"),
        ({"recipe": "notebook"}, "recipe"),
        ({"spec": NetworkSpec(hidden_sizes=(41, 30))}, "network"),
        ({"execution": "float32"}, "execution"),
    ],
)
def test_the_state_of_another_training_is_refused(
    build: Build, difference: dict[str, object], name: str
) -> None:
    state = build().state()

    with pytest.raises(StateMismatchError, match=f"the saved training has {name} "):
        build(**difference).load_state(state)


@pytest.mark.parametrize("name", ["random", "confusion", "weights.linear2.bias"])
def test_a_state_that_lacks_a_tensor_is_refused(build: Build, name: str) -> None:
    state = build().state()
    del state.tensors[name]

    with pytest.raises(StateMismatchError, match=f"the saved training lacks {name};"):
        build().load_state(state)


def test_a_finished_training_runs_no_further(build: Build) -> None:
    trainer = finish(build(epochs=1))

    with pytest.raises(RuntimeError, match="training is finished"):
        trainer.step()


def test_a_small_set_is_repeated_until_an_epoch_is_long_enough(build: Build) -> None:
    trainer = build(epochs=1, min_steps_per_epoch=20)

    steps = []
    while not trainer.finished:
        steps.append(trainer.step())

    assert sum(step.crops for step in steps if step.phase == "training") == 3 * 410


@pytest.mark.parametrize(("recipe", "least"), [("notebook", 0.3), ("strong", 0.85)])
def test_a_network_learns_in_float32(build: Build, recipe: str, least: float) -> None:
    trainer = finish(build(recipe, epochs=8, execution="float32", batch_size=20))

    assert trainer.epoch_metrics[-1].test_accuracy > least


def test_strong_reads_the_digits_of_scikit_learn(digits: Dataset, perceptron: Perceptron) -> None:
    trainer = finish(Trainer(resolve("strong"), NetworkSpec(), digits, perceptron))

    assert trainer.epoch_metrics[-1].test_accuracy >= 0.95
