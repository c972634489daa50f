import json
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

from services.networks.network import Network
from worker.learning.arithmetic import Perceptron
from worker.learning.datasets import Dataset, split_held_out
from worker.learning.errors import NetworkInvalidError, StateMismatchError
from worker.learning.measures import StepMetrics
from worker.learning.plan import TrainingExecution
from worker.learning.recipes import resolve
from worker.learning.training import Trainer
from worker.learning.training_state import TrainerState

SPEC = Network.perceptron((40, 30))
CONV = Network.model_validate(
    [
        {"type": "conv2d", "out_channels": 5, "kernel_size": 7, "stride": 4},
        {"type": "converting_relu", "shift": 1},
        {"type": "conv2d", "out_channels": 6, "kernel_size": [3, 2]},
        {"type": "converting_relu", "shift": 1},
        {"type": "flatten"},
        {"type": "linear", "out_features": 10, "avg": 2},
    ]
)

Build = Callable[..., Trainer]


@pytest.fixture
def build(digits: Dataset, perceptron: Perceptron) -> Build:
    """Builds trainers that all do the same: 2 epochs of 9 training and 2 test steps, then 1 for the scale.

    `strong` learns from 410 of 432 crops.
    """
    small = replace(
        digits,
        train_images=digits.train_images[:432],
        train_labels=digits.train_labels[:432],
        test_images=digits.train_images[432:1032],
        test_labels=digits.train_labels[432:1032],
    )

    def build_trainer(
        recipe: str = "strong",
        spec: Network = SPEC,
        execution: TrainingExecution = "mock",
        start_from: dict[str, torch.Tensor] | None = None,
        **overrides: object,
    ) -> Trainer:
        defaults = {"epochs": 2, "batch_size": 50, "min_steps_per_epoch": 0}
        return Trainer(
            resolve(recipe, defaults | overrides),
            spec,
            small,
            perceptron,
            execution=execution,
            start_from=start_from,
        )

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


def test_every_step_is_one_mini_batch_and_the_scale_comes_last(build: Build) -> None:
    trainer = build(epochs=1)

    steps: list[StepMetrics] = []
    while not trainer.finished:
        assert (trainer.epoch, trainer.step_count) == (0, len(steps))
        steps.append(trainer.step())

    assert [step.phase for step in steps] == ["training"] * 9 + ["testing"] * 2 + ["scaling"]
    assert [step.crops for step in steps] == [50] * 8 + [10] + [500, 100] + [22]
    assert steps[-1].step == steps[-1].steps_total == trainer.steps_total == 12


def test_an_epochs_metrics_have_the_readings_of_the_watched_crops(build: Build, digits: Dataset) -> None:
    trainer = build(epochs=1)
    while not trainer.finished:
        trainer.step()

    (metrics,) = trainer.progress.epoch_metrics
    digits_watched = digits.train_labels[432:][trainer.watched].tolist()

    assert len(trainer.watched) == len(metrics.readings) == 12
    assert set(digits_watched) == set(range(10))
    for pair, count in Counter(zip(digits_watched, metrics.readings, strict=True)).items():
        assert trainer.progress.confusion[pair] >= count, "each reading is one of the test"


def test_an_epochs_metrics_are_the_means_of_its_steps(build: Build) -> None:
    trainer = build(epochs=1)

    steps = []
    while not trainer.finished:
        steps.append(trainer.step())

    (metrics,) = trainer.progress.epoch_metrics
    training, testing = steps[:9], steps[9:11]
    assert metrics.train_loss == pytest.approx(sum(step.loss * step.crops for step in training) / 410)
    assert metrics.train_accuracy == pytest.approx(sum(step.accuracy * step.crops for step in training) / 410)
    assert metrics.test_loss == pytest.approx(sum(step.loss * step.crops for step in testing) / 600)
    assert metrics.test_accuracy == pytest.approx(sum(step.accuracy * step.crops for step in testing) / 600)


@pytest.mark.parametrize(("recipe", "spec"), [("notebook", SPEC), ("strong", SPEC), ("strong", CONV)])
def test_a_training_interrupted_anywhere_ends_with_the_same_bits(
    build: Build, tmp_path: Path, recipe: str, spec: Network
) -> None:
    expected = finish(build(recipe, spec))

    trainer = build(recipe, spec)
    for interruption in (1, 4, 4, 1, 1, 5, 2, 3, 1):
        for _ in range(interruption):
            trainer.step()
        state = through_a_file(trainer.state(), tmp_path)
        foreign = build(recipe, spec, seed=9)
        foreign.step()
        torch.manual_seed(77)
        trainer = build(recipe, spec)
        trainer.load_state(state)
    finish(trainer)

    assert same_weights(trainer, expected)
    assert trainer.progress.epoch_metrics == expected.progress.epoch_metrics
    assert torch.equal(trainer.progress.confusion, expected.progress.confusion)
    assert trainer.progress.score_scale == expected.progress.score_scale
    assert int(trainer.progress.confusion.sum()) == 600


def test_a_save_from_before_networks_were_lists_of_layers_goes_on(build: Build, tmp_path: Path) -> None:
    expected = finish(build())
    trainer = build()
    trainer.step()
    state = through_a_file(trainer.state(), tmp_path)
    shape = {"inputs": 784, "hidden_sizes": [40, 30], "outputs": 10, "shift": 1, "num_sends": None}

    later = build()
    later.load_state(TrainerState(state.tensors, {**state.facts, "network": shape}))

    assert same_weights(finish(later), expected)


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


@pytest.mark.parametrize("threads", [1, 2])
def test_the_same_number_of_threads_gives_the_same_bits(build: Build, threads: int) -> None:
    wide = Network.perceptron((256, 256))
    one, again = (build(spec=wide, batch_size=200) for _ in range(2))
    torch.set_num_threads(threads)

    finish(one)
    finish(again)

    assert same_weights(one, again)


def test_another_seed_gives_other_weights(build: Build) -> None:
    first, second = build(seed=1), build(seed=2)

    assert not same_weights(first, second)


def test_the_spec_of_a_trainer_states_the_number_of_sends(build: Build) -> None:
    assert build(spec=Network.perceptron()).spec.num_sends == (3, 5, 5)


@pytest.mark.parametrize(
    ("difference", "name"),
    [
        ({"seed": 3}, "recipe"),
        ({"recipe": "notebook"}, "recipe"),
        ({"spec": Network.perceptron((41, 30))}, "network"),
        ({"execution": "float32"}, "execution"),
    ],
)
def test_the_state_of_another_training_is_refused(
    build: Build, difference: dict[str, object], name: str
) -> None:
    state = build().state()

    with pytest.raises(StateMismatchError, match=f"the saved training has {name} "):
        build(**difference).load_state(state)


@pytest.mark.parametrize("name", ["random", "confusion", "scaling_scores", "weights.linear2.bias"])
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


@pytest.mark.parametrize(("recipe", "least"), [("notebook", 0.2), ("strong", 0.85)])
def test_a_network_learns_in_float32(build: Build, recipe: str, least: float) -> None:
    trainer = finish(build(recipe, epochs=8, execution="float32", batch_size=20))

    assert trainer.progress.epoch_metrics[-1].test_accuracy > least


def test_a_training_goes_on_with_the_gain_and_noise_it_began_with(
    build: Build, perceptron: Perceptron
) -> None:
    trainer = build(spec=Network.perceptron((40, 30)))
    trainer.step()
    state = trainer.state()
    perceptron.set_mock_parameter(perceptron.MockParameter(noise_std=1.5, gain=0.004))
    later = build(spec=Network.perceptron((40, 30)))

    later.load_state(state)

    assert later.mock_parameter == perceptron.MockParameter(noise_std=2.0, gain=0.002)
    assert later.spec == trainer.spec
    assert finish(later).progress.score_scale == finish(trainer).progress.score_scale
    assert same_weights(later, trainer)


def test_crops_held_out_are_not_learned_from(build: Build) -> None:
    learned, held_out = split_held_out(432)
    trainer = build()

    trainer.step()

    order = trainer.state().tensors["order"]
    assert sorted(order.tolist()) == learned.tolist()
    assert not set(order.tolist()) & set(held_out.tolist())


def test_the_notebook_learns_from_every_crop(build: Build) -> None:
    trainer = build("notebook")

    trainer.step()

    assert sorted(trainer.state().tensors["order"].tolist()) == list(range(432))


def test_until_the_scale_is_fitted_it_is_the_recipes(build: Build) -> None:
    trainer = build("notebook", epochs=1)

    while trainer.step_count < trainer.steps_total - 1:
        trainer.step()
        assert trainer.progress.score_scale == 1.0
    trainer.step()

    assert 0 < trainer.progress.score_scale < 0.5


def test_initial_weights_are_taken_over_and_part_of_the_trainings_identity(build: Build) -> None:
    first = build()
    first.step()
    weights = first.weights()

    second = build(spec=first.spec, start_from=weights)

    assert same_weights(first, second)
    with pytest.raises(StateMismatchError, match="the saved training has start_sha256 "):
        build(spec=first.spec).load_state(second.state())


def test_weights_to_begin_with_need_a_spec_that_states_the_sends(build: Build) -> None:
    with pytest.raises(NetworkInvalidError, match="leaves num_sends open"):
        build(start_from=build().weights())


def test_strong_reads_the_digits_of_scikit_learn(digits: Dataset, perceptron: Perceptron) -> None:
    trainer = finish(Trainer(resolve("strong"), Network.perceptron(), digits, perceptron))

    assert trainer.progress.epoch_metrics[-1].test_accuracy >= 0.95
