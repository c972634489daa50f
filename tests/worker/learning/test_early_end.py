"""Trainings that end early, trainings of mixtures, and trainings in which nothing is learned."""

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

from services.networks.network import Network
from worker.learning.arithmetic import Perceptron
from worker.learning.datasets import Dataset, Part
from worker.learning.mixtures import mix
from worker.learning.plan import TrainingExecution
from worker.learning.recipes import resolve
from worker.learning.training import Trainer
from worker.learning.training_state import TrainerState

SPEC = Network.perceptron((40, 30))
Build = Callable[..., Trainer]


@pytest.fixture
def mixture(digits: Dataset) -> Dataset:
    """410 crops of `digits`, half of them shown in an epoch, and 30 of a stored data set, each shown thrice.

    22 and 10 crops are held out, 350 and 130 are in the test parts.
    """
    stored = [
        replace(
            digits,
            name="digits",
            train_images=digits.train_images[:432],
            train_labels=digits.train_labels[:432],
        )
    ]
    labels = torch.arange(40) % 10
    places = torch.stack([(digits.train_labels == int(digit)).nonzero()[0, 0] for digit in labels])
    mine = Dataset(
        "ada~mine@1",
        digits.train_images[places],
        labels,
        digits.train_images[600:730],
        digits.train_labels[600:730],
        "Own digits.",
        "5ca1ab1e",
        (Part("ada~mine@1", "5ca1ab1e", 1.0, 40, 130, is_stored=True),),
    )
    short = replace(stored[0], test_images=digits.test_images[:350], test_labels=digits.test_labels[:350])
    return mix([short, mine], [0.5, 3.0])


@pytest.fixture
def build(mixture: Dataset, perceptron: Perceptron) -> Build:
    def build_trainer(
        execution: TrainingExecution = "mock",
        start_from: dict[str, torch.Tensor] | None = None,
        *,
        spec: Network = SPEC,
        learns: bool = True,
        **overrides: object,
    ) -> Trainer:
        defaults = {"epochs": 6, "batch_size": 50, "min_steps_per_epoch": 0, "patience": 2}
        return Trainer(
            resolve("strong", defaults | overrides),
            spec,
            mixture,
            perceptron,
            execution=execution,
            start_from=start_from,
            learns=learns,
        )

    return build_trainer


def finish(trainer: Trainer) -> Trainer:
    while not trainer.finished:
        trainer.step()
    return trainer


def through_a_file(state: TrainerState, folder: Path) -> TrainerState:
    save_file(state.tensors, folder / "state.safetensors")
    return TrainerState(load_file(folder / "state.safetensors"), json.loads(json.dumps(state.facts)))


def test_an_epoch_shows_each_part_by_its_weight_validates_and_tests(build: Build) -> None:
    trainer = build(epochs=1)

    steps = []
    while not trainer.finished:
        steps.append(trainer.step())

    crops = {
        phase: sum(step.crops for step in steps if step.phase == phase) for phase in {s.phase for s in steps}
    }
    assert crops == {"training": 205 + 90, "validation": 32, "testing": 480, "scaling": 32}
    assert [step.phase for step in steps] == ["training"] * 6 + ["validation", "testing", "scaling"]
    assert trainer.steps_total == len(steps)


def test_the_test_of_a_mixture_is_counted_by_data_set(build: Build) -> None:
    trainer = finish(build(epochs=4, learning_rate=1.0))

    metrics = trainer.progress.epoch_metrics[-1]

    assert set(metrics.accuracies) == {"digits", "ada~mine@1"}
    correct = metrics.accuracies["digits"] * 350 + metrics.accuracies["ada~mine@1"] * 130
    assert correct / 480 == pytest.approx(metrics.test_accuracy)
    assert int(trainer.progress.confusion.trace()) == round(correct)


def test_the_validation_loss_is_the_mean_over_the_data_sets(build: Build) -> None:
    trainer = finish(build(epochs=1))

    losses = trainer.progress.validation_losses
    assert len(losses) == 2
    assert trainer.progress.best_loss == pytest.approx((losses[0] / 22 + losses[1] / 10) / 2)


def test_a_training_ends_when_the_validation_loss_has_not_fallen_for_its_patience(build: Build) -> None:
    trainer = finish(build(epochs=200, learning_rate=5.0, patience=2, schedule="constant"))

    losses = [metrics.validation_loss or 0.0 for metrics in trainer.progress.epoch_metrics]
    assert 3 <= len(losses) < 200
    assert min(losses) == losses[-3]
    assert trainer.finished
    assert trainer.step_count == trainer.steps_total
    assert trainer.progress.score_scale != trainer.recipe.logit_scale


def test_without_patience_every_epoch_is_learned(build: Build) -> None:
    trainer = finish(build(epochs=12, learning_rate=5.0, patience=0, schedule="constant"))

    assert len(trainer.progress.epoch_metrics) == 12
    assert all(metrics.validation_loss is None for metrics in trainer.progress.epoch_metrics)


def test_each_phase_ends_by_itself(build: Build) -> None:
    trainer = build(epochs=50, learning_rate=5.0, patience=1, schedule="constant")
    phases = (
        replace(trainer.plan.phases[0], epochs=50),
        replace(trainer.plan.phases[0], execution="float32"),
    )
    trainer.plan = replace(trainer.plan, phases=phases)

    finish(trainer)

    executions = [metrics.execution for metrics in trainer.progress.epoch_metrics]
    assert 2 <= executions.count("mock") < 50
    assert 2 <= executions.count("float32") < 50
    later = [metrics for metrics in trainer.progress.epoch_metrics if metrics.execution == "float32"]
    assert later[0].epoch == 50


def test_a_training_that_ends_early_does_so_after_any_interruption(build: Build, tmp_path: Path) -> None:
    facts = {"epochs": 200, "learning_rate": 5.0, "patience": 2, "schedule": "constant"}
    expected = finish(build(**facts))

    trainer = build(**facts)
    while not trainer.finished:
        for _ in range(5):
            if not trainer.finished:
                trainer.step()
        state = through_a_file(trainer.state(), tmp_path)
        torch.manual_seed(77)
        trainer = build(**facts)
        trainer.load_state(state)

    assert trainer.progress.epoch_metrics == expected.progress.epoch_metrics
    assert trainer.progress.score_scale == expected.progress.score_scale
    ours, theirs = trainer.weights(), expected.weights()
    assert all(torch.equal(ours[name], theirs[name]) for name in ours)


def test_a_save_from_before_trainings_ended_early_goes_on(build: Build, tmp_path: Path) -> None:
    trainer = build(patience=0)
    trainer.step()
    state = through_a_file(trainer.state(), tmp_path)
    expected = finish(trainer)
    del state.facts["recipe"]["patience"]
    for name in ("test_correct", "validation_losses", "best_loss", "epochs_since_best"):
        del state.facts[name]

    later = build(patience=0)
    later.load_state(state)

    ours, theirs = finish(later).weights(), expected.weights()
    assert all(torch.equal(ours[name], theirs[name]) for name in ours)


def test_without_learning_the_weights_stay_and_the_scale_is_fitted(build: Build) -> None:
    first = finish(build(epochs=1))

    second = build(start_from=first.weights(), spec=first.spec, learns=False)
    phases = []
    while not second.finished:
        phases.append(second.step().phase)

    assert phases == ["testing", "scaling"]
    assert all(torch.equal(first.weights()[name], tensor) for name, tensor in second.weights().items())
    assert second.progress.score_scale not in {first.progress.score_scale, second.recipe.logit_scale}
    assert len(second.progress.scaling_scores) == 22 + 40
    assert second.progress.epoch_metrics[0].learning_rate == 0.0
