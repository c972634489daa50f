"""Trainings and evaluations on stored data sets and mixtures, as a worker does them."""

import base64
import json
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from services.datasets.files import DatasetStore, LabelledCrops
from services.errors import DatasetDamagedError, DatasetNotFoundError
from services.jobs.record import JobKind
from services.jobs.submission import new_job
from services.jobs.workloads import workload_of
from services.models.files import ModelStore
from services.networks.network import Network
from services.users.authentication import User
from tests.services.datasets.crops import a_dataset_origin
from tests.services.samples import an_origin
from worker.activities import EvaluationActivity, TrainingActivity
from worker.checkpoints import Saves, pack_weights, read_version
from worker.chip import ChipSession
from worker.datasets import Datasets
from worker.learning.datasets import load_dataset
from worker.learning.network import build_network, weights_of

MINE = "ada~mine@1"
SHORT: dict[str, Any] = {"epochs": 1, "network": {"hidden": [12]}}


@dataclass
class Desk:
    """A worker's part in trainings and evaluations of ada's."""

    session: ChipSession
    models: ModelStore
    store: DatasetStore
    datasets: Datasets
    saves: Saves

    def train(self, model: str = "ada~hand", **params: Any) -> dict[str, Any]:
        """The result of a training that nothing disturbs."""
        job = new_job(JobKind.TRAINING, User("ada"), model, params)
        activity = TrainingActivity(job, self.session, self.datasets, self.models, self.saves)
        assert activity.steps_total == workload_of(job, "mock", "digits", self.datasets.crops_of).steps
        while not activity.finished:
            activity.step()
        return activity.complete()

    def evaluate(self, model: str, **params: Any) -> dict[str, Any]:
        """The result of an evaluation."""
        job = new_job(JobKind.EVALUATION, User("ada"), model, params)
        activity = EvaluationActivity(job, self.session, self.datasets, self.models)
        assert activity.steps_total == workload_of(job, "mock", "digits", self.datasets.crops_of).steps
        while not activity.finished:
            activity.step()
        return activity.complete()


@pytest.fixture
def desk(session: ChipSession, models: ModelStore, saves: Saves, tmp_path: Path) -> Desk:
    """A worker beside a folder with the data set `ada~mine`: 46 crops to learn from and 600 to test."""
    store = DatasetStore(tmp_path / "datasets")
    digits = load_dataset("digits")
    labels = digits.train_labels.numpy().astype(np.uint8)
    images = digits.train_images.numpy()
    train, test = LabelledCrops(images[:46], labels[:46]), LabelledCrops(images[500:1100], labels[500:1100])
    store.publish(a_dataset_origin("ada~mine"), train, test)
    (store.folder / "MNIST").write_text("no folder, so that nothing is downloaded into it")
    return Desk(session, models, store, Datasets(None, store.folder), saves)


@pytest.fixture
def parent(desk: Desk) -> str:
    """A version of the service's model `digits`, trained on `digits`."""
    torch.manual_seed(2)
    network = Network.perceptron((12,), num_sends=(1, 2))
    weights = weights_of(build_network(network, desk.session.perceptron, "mock"))
    return desk.models.publish(an_origin(job="p", network=network), pack_weights(weights)).version


def test_a_training_on_a_stored_data_set_names_the_exact_data(desk: Desk) -> None:
    result = desk.train(dataset=MINE, **SHORT)

    manifest = desk.models.manifest("ada~hand", result["version"])
    sha256 = desk.store.manifest("ada~mine", "1").sha256
    assert result["dataset"] == MINE
    assert result["accuracies"] == {MINE: result["accuracy"]}
    assert manifest.dataset == {
        "name": MINE,
        "sha256": sha256,
        "parts": [{"name": "ada~mine", "version": "1", "sha256": sha256, "weight": 1.0}],
    }


def test_a_mixture_names_its_parts_and_weights_and_tests_them_apart(desk: Desk) -> None:
    result = desk.train(dataset={"digits": 0.25, MINE: 20}, **SHORT)

    manifest = desk.models.manifest("ada~hand", result["version"])
    assert [(part["name"], part.get("version"), part["weight"]) for part in manifest.dataset["parts"]] == [
        ("digits", None, 0.25),
        ("ada~mine", "1", 20.0),
    ]
    assert manifest.built_in_dataset == "digits"
    assert set(result["accuracies"]) == {"digits", MINE}
    assert (
        manifest.metrics["accuracies"] == result["accuracies"] == manifest.metrics["epochs"][-1]["accuracies"]
    )
    weighted = result["accuracies"]["digits"] * 360 + result["accuracies"][MINE] * 600
    assert weighted / 960 == pytest.approx(result["accuracy"])


def test_a_training_on_a_built_in_data_set_is_described_as_ever(desk: Desk) -> None:
    result = desk.train(dataset="digits", **SHORT)

    digits = load_dataset("digits")
    assert desk.models.manifest("ada~hand", "1").dataset == {"name": "digits", "sha256": digits.sha256}
    assert result["accuracies"] == {"digits": result["accuracy"]}


def test_no_version_holds_crops_of_a_stored_data_set(desk: Desk) -> None:
    desk.train(dataset=MINE, **SHORT)

    manifest = desk.models.manifest("ada~hand", "1")
    crops = desk.models.weights("ada~hand", "1")
    assert manifest.metrics["mistakes"] == []
    first = load_dataset("digits").test_images[0].numpy().tobytes()
    assert desk.store.crops("ada~mine", "1")[1].images[0].tobytes() != first
    assert _check_crop(crops) == first


def _check_crop(packed: bytes) -> bytes:
    header = json.loads(packed[8 : 8 + int.from_bytes(packed[:8], "little")])
    description = json.loads(next(iter(header["__metadata__"].values())))
    return base64.b64decode(description["check"]["crops"])[:784]


def test_a_version_of_another_model_is_learnt_on_from(desk: Desk, parent: str) -> None:
    result = desk.train(
        recipe="adapt", start_from=f"digits@{parent}", dataset={"digits": 0.5, MINE: 4}, epochs=2
    )

    manifest = desk.models.manifest("ada~hand", result["version"])
    assert manifest.parent == f"digits@{parent}"
    assert manifest.network == desk.models.manifest("digits", parent).network
    assert manifest.recipe["name"] == "adapt"


def test_without_epochs_the_weights_are_the_parents_and_the_confidence_is_fitted(
    desk: Desk, parent: str
) -> None:
    result = desk.train(start_from=f"digits@{parent}", dataset=MINE, epochs=0)

    before, after = read_version(desk.models, "digits", parent), read_version(desk.models, "ada~hand", "1")
    assert all(bool((before.weights[name] == tensor).all()) for name, tensor in after.weights.items())
    assert after.manifest.score_scale != before.manifest.score_scale
    assert after.manifest.recipe == before.manifest.recipe
    assert after.manifest.parent == f"digits@{parent}"
    assert result["accuracies"].keys() == {MINE}


def test_an_evaluation_reads_every_part_of_a_mixture(desk: Desk, parent: str) -> None:
    alone = [desk.evaluate("digits", version=parent, dataset=name) for name in ("digits", MINE)]

    both = desk.evaluate("digits", version=parent, dataset={"digits": 1, MINE: 5})

    assert [result["dataset"] for result in alone] == ["digits", MINE]
    assert (alone[1]["crops"], both["crops"], both["dataset"]) == (600, 960, f"digits + {MINE}")
    # The mini-batches, and so the noise, are others.
    assert both["accuracies"] == pytest.approx({**alone[0]["accuracies"], **alone[1]["accuracies"]}, abs=0.03)


@pytest.mark.parametrize("was_in_memory", [False, True])
def test_a_data_set_that_was_deleted_is_a_failure_in_words(desk: Desk, was_in_memory: bool) -> None:
    if was_in_memory:
        desk.datasets.get(MINE)
    desk.store.delete_version("ada~mine", "1")

    with pytest.raises(
        DatasetNotFoundError, match="the data set ada~mine@1 was deleted after the job was submitted"
    ):
        desk.train(dataset=MINE, **SHORT)


def test_a_data_set_in_use_may_be_deleted(desk: Desk) -> None:
    job = new_job(JobKind.TRAINING, User("ada"), "ada~hand", {"dataset": MINE, **SHORT})
    activity = TrainingActivity(job, desk.session, desk.datasets, desk.models, desk.saves)
    activity.step()

    desk.store.delete_version("ada~mine", "1")

    assert workload_of(job, "mock", "digits", desk.datasets.crops_of).steps == activity.steps_total
    while not activity.finished:
        activity.step()
    assert activity.complete()["dataset"] == MINE


def test_a_damaged_data_set_is_not_learnt_from(desk: Desk) -> None:
    shutil.copy(
        desk.store.folder / "ada~mine" / "1" / "manifest.json", desk.store.crops_path("ada~mine", "1")
    )

    with pytest.raises(DatasetDamagedError):
        desk.train(dataset=MINE, **SHORT)


def test_the_last_used_data_sets_stay_in_memory(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    train, test = desk.store.crops("ada~mine", "1")
    for name in ("ada~b", "ada~c"):
        desk.store.publish(a_dataset_origin(name), train, test)
    monkeypatch.setattr("worker.datasets._MOST_STORED_BYTES", 2 * 646 * 784)

    first, second = desk.datasets.get(MINE), desk.datasets.get("ada~b@1")
    assert desk.datasets.get(MINE) is first
    desk.datasets.get("ada~c@1")

    assert desk.datasets.get(MINE) is first
    assert desk.datasets.get("ada~b@1") is not second
