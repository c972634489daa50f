"""The staircase of a version: one job from float32 to the chip, and after a training in its loop."""

from pathlib import Path
from typing import Any

import pytest
import torch

from services.intervals import wilson_interval
from services.jobs.record import Job, JobKind
from services.jobs.submission import new_job
from services.jobs.workloads import workload_of
from services.models.files import ModelStore
from services.networks.network import Network
from services.users.authentication import User
from tests.services.samples import an_origin
from tests.worker.conftest import TINY
from worker.activities import Activity, EvaluationActivity, StaircaseActivity
from worker.checkpoints import pack_weights
from worker.chip import ChipSession
from worker.datasets import Datasets
from worker.learning.network import build_network, weights_of

ADA = User("ada")


@pytest.fixture
def datasets(tmp_path: Path) -> Datasets:
    return Datasets(None, tmp_path / "datasets")


def _run(activity: Activity) -> dict[str, Any]:
    while not activity.finished:
        activity.step()
    return activity.complete()


def _staircase(**params: Any) -> Job:
    return new_job(JobKind.STAIRCASE, ADA, "digits", {"version": "1", "dataset": "digits", **params})


def _publish(models: ModelStore, session: ChipSession, network: Network = TINY) -> None:
    """Publish version 1 of `digits`, which has learnt nothing."""
    torch.manual_seed(5)
    weights = weights_of(build_network(network, session.perceptron, "mock"))
    models.publish(an_origin(network=network), pack_weights(weights))


def test_without_a_chip_it_has_the_three_steps_that_evaluations_measure(
    session: ChipSession, datasets: Datasets, models: ModelStore
) -> None:
    _publish(models, session)

    result = _run(StaircaseActivity(_staircase(seed=4), session, datasets, models))

    evaluated = []
    for execution in ("float32", "quantised", "mock"):
        params = {"version": "1", "dataset": "digits", "execution": execution, "seed": 4}
        job = new_job(JobKind.EVALUATION, ADA, "digits", params)
        evaluated.append(_run(EvaluationActivity(job, session, datasets, models))["accuracy"])
    assert result["steps"] == [
        {
            "name": name,
            "execution": name,
            "accuracy": accuracy,
            "interval": wilson_interval(round(accuracy * 360), 360),
        }
        for name, accuracy in zip(("float32", "quantised", "mock"), evaluated, strict=True)
    ]
    assert (result["accuracy"], result["crops"], result["dataset"]) == (evaluated[-1], 360, "digits")
    assert (result["execution"], result["backend"], result["transferred"]) == ("mock", "mock", False)


def test_while_it_runs_the_metrics_have_the_steps_measured_so_far(
    session: ChipSession, datasets: Datasets, models: ModelStore
) -> None:
    _publish(models, session)
    activity = StaircaseActivity(_staircase(), session, datasets, models)

    shown = [activity.metrics()]
    while not activity.finished:
        activity.step()
        shown.append(activity.metrics())

    assert [len(metrics["steps"]) for metrics in shown] == [0, 1, 2, 3]
    assert [metrics["step"] for metrics in shown] == [0, 1, 2, 3]
    assert all(metrics["stairs"] == ["float32", "quantised", "mock"] for metrics in shown)
    assert shown[-1]["steps"] == activity.complete()["steps"]


def test_what_a_worker_before_it_measured_is_measured_again(
    session: ChipSession, datasets: Datasets, models: ModelStore
) -> None:
    _publish(models, session)
    died, second = (StaircaseActivity(_staircase(), session, datasets, models) for _ in range(2))
    died.step()
    died.save()

    undisturbed = _run(StaircaseActivity(_staircase(), session, datasets, models))

    assert second.steps_done == 0
    assert _run(second) == undisturbed


def test_on_a_chip_the_last_step_has_learnt_there_and_leaves_no_version(
    virtual_session: ChipSession, datasets: Datasets, models: ModelStore
) -> None:
    _publish(models, virtual_session, Network.perceptron((24,), num_sends=(1, 2)))
    job = _staircase(recipe="strong", chip_epochs=1)
    activity = StaircaseActivity(job, virtual_session, datasets, models)
    counted = workload_of(job, "emulator", "digits")

    ran: dict[str, int] = {}
    while not activity.finished:
        ran[activity.execution] = ran.get(activity.execution, 0) + 1
        activity.step()
    result = activity.complete()

    names = ["float32", "quantised", "mock", "chip", "loop"]
    assert [step["name"] for step in result["steps"]] == names
    assert [step["execution"] for step in result["steps"]] == [*names[:4], "chip"]
    assert list(ran.items()) == [(phase.execution, phase.steps) for phase in counted.phases]
    *_, transferred, learnt = [step["accuracy"] for step in result["steps"]]
    assert learnt > transferred
    assert result["accuracy"] == learnt
    assert (result["backend"], result["chip"]) == ("emulator", virtual_session.chip)
    assert models.versions("digits") == ["1"]
    assert not activity.in_the_loop


def test_a_version_for_which_nothing_is_to_be_learnt_ends_on_the_chip(
    virtual_session: ChipSession, datasets: Datasets, models: ModelStore
) -> None:
    _publish(models, virtual_session)
    job = _staircase(chip_epochs=0)

    activity = StaircaseActivity(job, virtual_session, datasets, models)

    assert activity.metrics()["stairs"] == ["float32", "quantised", "mock", "chip"]
    assert activity.steps_total == workload_of(job, "emulator", "digits").steps == 4
