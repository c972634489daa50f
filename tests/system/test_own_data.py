"""Own digits through the real service: sent, adapted to, measured, calibrated."""

import io
import json
from typing import Any

import numpy as np
import pytest
import urllib3
from numpy.typing import NDArray

from deploy.local import Local
from hxserve import Client
from hxserve.jobs import Job
from tests.system.conftest import kill_worker, wait_until


def _send(
    local: Local, client: Client, name: str, crops: NDArray[np.uint8], labels: NDArray[np.int64]
) -> None:
    """Send mirrored digits, 5 of each to learn from and the others to test, as a data set."""
    order = np.argsort(labels, kind="stable")
    first = np.concatenate([order[labels[order] == digit][:5] for digit in range(10)])
    others = np.setdiff1d(order, first)
    file = io.BytesIO()
    mirrored = np.ascontiguousarray(crops[:, :, ::-1])
    np.savez(
        file,
        train_images=mirrored[first],
        train_labels=labels[first],
        test_images=mirrored[others],
        test_labels=labels[others],
    )
    answer = urllib3.request(
        "POST",
        f"{local.url}/v1/datasets/{name}/versions",
        fields={"files": ("mine.npz", file.getvalue())},
        headers={"Authorization": f"Bearer {local.token}"},
        retries=False,
    )
    assert answer.status == 202, answer.data
    client.wait(json.loads(answer.data)["id"]).expect_success()


@pytest.fixture(scope="module")
def parent(local: Local) -> str:
    """A version that reads digits, but no mirrored ones; a short training is enough."""
    with Client(local.url, local.token) as client:
        client.train("parent", wait=True, recipe="strong", dataset="digits", epochs=1)
    return "parent"


@pytest.fixture(scope="module")
def mirrored(local: Local, test_digits: tuple[NDArray[np.uint8], NDArray[np.int64]]) -> str:
    """Own digits, as a data set."""
    with Client(local.url, local.token) as client:
        _send(local, client, "mirrored", *test_digits)
    return "mirrored"


@pytest.fixture(scope="module")
def adapted(local: Local, parent: str, mirrored: str) -> Job:
    """An adaptation that nothing disturbed."""
    with Client(local.url, local.token) as client:
        return client.train("hand", wait=True, dataset=mirrored, **_adapting(parent))


def test_a_confidence_is_fitted_to_a_data_set_and_published_with_the_same_weights(
    client: Client, parent: str, mirrored: str
) -> None:
    client.calibrate_model(parent, mirrored, 1, into="sure", wait=True)

    published, original = client.model("sure", 1), client.model(parent, 1)
    assert published["parent"] == f"{parent}@1"
    assert published["recipe"] == original["recipe"]
    assert published["score_scale"] < original["score_scale"]


@pytest.mark.usefixtures("adapted")
def test_a_version_learns_own_digits(client: Client, parent: str, mirrored: str) -> None:
    both = {"digits": 1, mirrored: 1}

    before = _accuracies(client.evaluate(parent, 1, wait=True, dataset=both))
    after = _accuracies(client.evaluate("hand", 1, wait=True, dataset=both))

    assert after["mirrored@1"] > before["mirrored@1"] + 0.1
    assert after["digits"] > before["digits"] - 0.05
    manifest = client.model("hand", 1)
    assert manifest["parent"] == f"{parent}@1"
    assert [(part["name"], part["weight"]) for part in manifest["dataset"]["parts"]] == [
        ("digits", 1.0),
        ("mirrored", 40.0),
    ]


def test_a_killed_worker_changes_nothing_of_an_adaptation(
    local: Local, client: Client, parent: str, mirrored: str, adapted: Job
) -> None:
    job = client.train("hand", dataset=mirrored, **_adapting(parent))
    wait_until(lambda: client.job(job.id).progress > 0.05)
    kill_worker(local)

    finished = client.wait(job.id).expect_success()

    assert finished.result is not None
    assert adapted.result is not None
    assert finished.result["weights_sha256"] == adapted.result["weights_sha256"]


def _adapting(parent: str) -> dict[str, Any]:
    return {"recipe": "adapt", "start_from": f"{parent}@1", "epochs": 4}


def _accuracies(job: Job) -> dict[str, float]:
    assert job.result is not None
    accuracies: dict[str, float] = job.result["accuracies"]
    return accuracies
