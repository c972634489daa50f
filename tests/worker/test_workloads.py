"""What the service counts of a job before it runs is what the worker then runs."""

from pathlib import Path
from typing import Any, get_args

import pytest

from services.jobs.params import validate_params
from services.jobs.recipes import RECIPES, RecipeFacts, RecipeName
from services.jobs.record import JobKind
from services.jobs.submission import new_job
from services.jobs.workloads import TEST_CROPS, TRAIN_CROPS, plan_work
from services.models.files import ModelStore
from services.users.authentication import User
from worker.activities import TrainingActivity
from worker.checkpoints import Saves
from worker.chip import ChipSession
from worker.datasets import Datasets
from worker.learning.recipes import RECIPES as WORKERS_RECIPES
from worker.learning.recipes import resolve


@pytest.fixture(scope="module")
def datasets(tmp_path_factory: pytest.TempPathFactory) -> Datasets:
    return Datasets(None, tmp_path_factory.mktemp("datasets"))


@pytest.mark.parametrize("name", get_args(RecipeName))
def test_the_service_knows_the_recipes(name: RecipeName) -> None:
    recipe = resolve(name)

    assert RECIPES[name] == RecipeFacts(
        epochs=recipe.epochs,
        batch_size=recipe.batch_size,
        learning_rate=recipe.learning_rate,
        least_steps=recipe.min_steps_per_epoch,
        holds_out=recipe.hold_out,
        chip_epochs=recipe.chip_epochs,
        network=RECIPES[name].network,
        validates=recipe.patience > 0,
        adapts=name == "adapt",
    )


def test_the_service_and_the_worker_name_the_same_recipes() -> None:
    assert set(RECIPES) == set(get_args(RecipeName)) == set(WORKERS_RECIPES)


def test_the_service_knows_the_sizes_of_the_data_sets(datasets: Datasets) -> None:
    digits = datasets.get("digits")

    assert (TRAIN_CROPS["digits"], TEST_CROPS["digits"]) == (
        len(digits.train_labels),
        len(digits.test_labels),
    )


@pytest.mark.parametrize(
    "params",
    [
        {},
        {"recipe": "notebook"},
        {"epochs": 3, "batch_size": 77},
        {"recipe": "notebook", "batch_size": 1000, "epochs": 1},
        {"execution": "float32", "network": {"hidden": [12]}},
        {"recipe": "conv", "epochs": 2},
        {"network": [{"type": "conv2d", "out_channels": 10, "kernel_size": 28}, {"type": "flatten"}]},
    ],
)
def test_the_mini_batches_of_a_training_are_counted_before_it_runs(
    params: dict[str, Any],
    session: ChipSession,
    datasets: Datasets,
    models: ModelStore,
    tmp_path: Path,
) -> None:
    job = new_job(JobKind.TRAINING, User("ada"), "digits", params | {"dataset": "digits"})

    counted = plan_work(job.kind, validate_params(job.kind, job.params), job.model, "mock", "mnist")

    activity = TrainingActivity(job, session, datasets, models, Saves(tmp_path / "saves"))
    assert counted.steps == activity.steps_total
    assert counted.phases[0].execution == activity.execution


def test_a_training_with_the_chip_in_the_loop_has_two_phases() -> None:
    params = validate_params(JobKind.TRAINING, {"epochs": 5, "chip_epochs": 2})

    work = plan_work(JobKind.TRAINING, params, "digits", "emulator", "digits")

    steps = {phase.execution: phase.steps for phase in work.phases}
    assert steps["mock"] / 5 == (steps["chip"] - 1) / 2


def test_repeated_readings_multiply_the_cost() -> None:
    once, often = (
        plan_work(JobKind.EVALUATION, validate_params(JobKind.EVALUATION, params), "digits", "mock", "mnist")
        for params in ({}, {"repeats": 8})
    )

    assert once.steps == often.steps == 20
    assert often.phases[0].step_s > 6 * once.phases[0].step_s
