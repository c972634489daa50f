"""Uploads as the worker checks and publishes them."""

import hashlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load

from hxtorch_emulator import perceptron as emulated
from services.errors import InvalidInputError, StorageError
from services.jobs.params import UploadParams
from services.jobs.record import Job, JobKind
from services.jobs.submission import new_job
from services.jobs.workloads import workload_of
from services.models.description import Check, Description
from services.models.files import ModelStore
from services.models.uploads import Uploads
from services.networks.network import Network
from services.users.authentication import User
from tests.services.uploads import CONVOLUTION
from tests.worker.conftest import TINY
from worker.activities import UploadActivity
from worker.checkpoints import pack_weights, read_version
from worker.chip import ChipSession
from worker.datasets import Datasets
from worker.descriptions import describe_version, read_upload
from worker.learning.datasets import load_dataset
from worker.learning.network import build_network, weights_of
from worker.serving import LoadedVersions
from worker.untrained import UNTRAINED, publish_untrained

CROPS = load_dataset("digits").test_images
OWN = emulated.MockParameter(noise_std=1.5, gain=0.004)
"""Gain and noise with which the uploaded networks learnt; not the session's."""
NAME = "ada~brought"


@dataclass
class Desk:
    """A worker's part in uploads."""

    session: ChipSession
    models: ModelStore
    uploads: Uploads
    datasets: Datasets

    def accept(self, content: bytes, network: Network) -> Job:
        """The job of a file."""
        params = UploadParams(sha256=hashlib.sha256(content).hexdigest(), network=network)
        job = new_job(JobKind.UPLOAD, User("ada"), NAME, params.model_dump())
        self.uploads.keep(job.id, content)
        return job

    def take_up(self, job: Job) -> UploadActivity:
        """The activity of a worker that was just started."""
        return UploadActivity(job, self.session, self.datasets, self.models, self.uploads)

    def run(self, job: Job) -> dict[str, Any]:
        """The result of a job that nothing disturbs."""
        activity = self.take_up(job)
        while not activity.finished:
            activity.step()
        return activity.complete()


@pytest.fixture
def desk(session: ChipSession, models: ModelStore, tmp_path: Path) -> Desk:
    return Desk(session, models, Uploads(tmp_path / "saves"), Datasets(None, tmp_path / "datasets"))


def _described(network: Network, weights: dict[str, torch.Tensor]) -> Description:
    return describe_version(network, weights, CROPS, emulated, OWN)


def test_a_version_whose_scores_are_those_of_the_file_is_published(
    desk: Desk, tiny_weights: dict[str, torch.Tensor]
) -> None:
    description = _described(TINY, tiny_weights)

    result = desk.run(desk.accept(pack_weights(tiny_weights, description), TINY))

    manifest = desk.models.manifest(NAME, "1")
    assert (result["model"], result["version"], result["checked_crops"]) == (NAME, "1", 16)
    assert desk.models.aliases(NAME) == {"latest": "1"}
    assert (manifest.source, manifest.user, manifest.home) == ("upload", "ada", "")
    assert (manifest.network, manifest.gain, manifest.noise_std) == (TINY, 0.004, 1.5)
    assert (manifest.metrics, manifest.recipe, manifest.dataset) == ({}, {}, {})
    assert 0 < manifest.score_scale <= 10


def test_a_network_with_convolutions_is_published_and_classified_with(desk: Desk) -> None:
    network = Network.model_validate(CONVOLUTION)
    torch.manual_seed(5)
    weights = weights_of(build_network(network, emulated, "mock"))

    desk.run(desk.accept(pack_weights(weights, _described(network, weights)), network))

    reading = LoadedVersions(desk.session, desk.models).get(NAME, "1").read(CROPS[:7].flatten(1).numpy(), 1)
    assert reading.scores.shape == (7, 10)


def test_a_published_file_can_be_uploaded_again(desk: Desk, tiny_weights: dict[str, torch.Tensor]) -> None:
    desk.run(desk.accept(pack_weights(tiny_weights, _described(TINY, tiny_weights)), TINY))

    desk.run(desk.accept(desk.models.weights(NAME, "1"), TINY))

    first, again = (desk.models.manifest(NAME, version) for version in "12")
    assert again.weights_sha256 == first.weights_sha256
    assert again.gain == first.gain


def test_what_the_service_publishes_itself_can_be_uploaded(desk: Desk) -> None:
    publish_untrained(desk.models, desk.session, CROPS)
    content = desk.models.weights(UNTRAINED, "1")
    description, weights = read_upload(content)

    desk.run(desk.accept(content, description.network))

    published = load(desk.models.weights(NAME, "1"))
    assert description.network == desk.models.manifest(UNTRAINED, "1").network
    assert all(bool((published[name] == weights[name]).all()) for name in weights)


def test_weights_out_of_range_are_clamped_as_the_layers_do(
    desk: Desk, tiny_weights: dict[str, torch.Tensor]
) -> None:
    tiny_weights["linear1.weight"][0, 0] = 90.0
    tiny_weights["linear2.weight"][1, 2] = -64.0
    tiny_weights["linear3.bias"][3] = 90.0

    desk.run(desk.accept(pack_weights(tiny_weights, _described(TINY, tiny_weights)), TINY))

    published = load(desk.models.weights(NAME, "1"))
    assert published["linear1.weight"][0, 0] == 63.0
    assert published["linear2.weight"][1, 2] == -63.0
    assert published["linear3.bias"][3] == 90.0


def test_another_score_than_the_file_states_is_refused_and_nothing_published(
    desk: Desk, tiny_weights: dict[str, torch.Tensor]
) -> None:
    description = _described(TINY, tiny_weights)
    scores = [list(row) for row in description.check.scores]
    scores[2][7] -= 1
    wrong = description.model_copy(update={"check": Check.of(description.check.crop_bytes, scores)})
    activity = desk.take_up(desk.accept(pack_weights(tiny_weights, wrong), TINY))

    with pytest.raises(
        InvalidInputError,
        match=rf"1 of 160 differ, first that of check crop 2 for digit 7: expected {scores[2][7]}, .*, "
        rf"got {scores[2][7] + 1}; publish the model again, with the gain",
    ):
        activity.step()

    assert desk.models.versions(NAME) == []


def test_another_gain_than_the_file_states_is_refused(
    desk: Desk, tiny_weights: dict[str, torch.Tensor]
) -> None:
    description = _described(TINY, tiny_weights).model_copy(update={"gain": 0.002})
    activity = desk.take_up(desk.accept(pack_weights(tiny_weights, description), TINY))

    with pytest.raises(InvalidInputError, match="the network computes other scores here"):
        activity.step()


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"linear1.weight": torch.full((6, 784), torch.inf)}, "linear1.weight holds numbers that are not"),
        (
            {"linear1.weight": torch.zeros(5, 784)},
            r"linear1.weight has shape \(5, 784\); expected \(6, 784\)",
        ),
        ({"linear4.weight": torch.zeros(3, 2)}, "the weights are named"),
    ],
)
def test_weights_that_do_not_fit_are_refused_here_too(
    desk: Desk, tiny_weights: dict[str, torch.Tensor], changed: dict[str, torch.Tensor], said: str
) -> None:
    content = pack_weights(tiny_weights | changed, _described(TINY, tiny_weights))

    with pytest.raises(InvalidInputError, match=f"the upload cannot be published: {said}"):
        desk.take_up(desk.accept(content, TINY))


def test_a_file_that_is_gone_is_said_to_be(desk: Desk, tiny_weights: dict[str, torch.Tensor]) -> None:
    job = desk.accept(pack_weights(tiny_weights, _described(TINY, tiny_weights)), TINY)
    desk.uploads.discard(job.id)

    with pytest.raises(InvalidInputError, match="the uploaded file is gone; upload the version again"):
        desk.take_up(job)


def test_what_is_no_file_of_weights_is_said_to_be_none() -> None:
    with pytest.raises(InvalidInputError, match="the uploaded file cannot be read"):
        read_upload(b"no tensors")


@pytest.mark.parametrize("steps", [0, 1, 2, 11, 19])
def test_a_job_killed_after_any_step_is_begun_again_and_publishes_once(
    desk: Desk, tiny_weights: dict[str, torch.Tensor], steps: int
) -> None:
    job = desk.accept(pack_weights(tiny_weights, _described(TINY, tiny_weights)), TINY)
    killed = desk.take_up(job)
    for _ in range(steps):
        if not killed.finished:
            killed.step()

    result = desk.run(job)
    repeated = desk.run(job)  # killed after it had published, before its end was recorded

    assert desk.models.versions(NAME) == ["1"]
    assert repeated == result


def test_a_disk_that_is_full_publishes_nothing_and_later_all(
    desk: Desk, tiny_weights: dict[str, torch.Tensor]
) -> None:
    job = desk.accept(pack_weights(tiny_weights, _described(TINY, tiny_weights)), TINY)
    in_the_way = desk.models.folder / NAME
    in_the_way.parent.mkdir(parents=True, exist_ok=True)
    in_the_way.write_text("no folder")

    with pytest.raises(StorageError):
        desk.run(job)
    in_the_way.unlink()

    assert desk.run(job)["version"] == "1"


def test_the_mini_batches_are_forecast(desk: Desk, tiny_weights: dict[str, torch.Tensor]) -> None:
    job = desk.accept(pack_weights(tiny_weights, _described(TINY, tiny_weights)), TINY)

    assert workload_of(job, "mock", "digits").steps == desk.take_up(job).steps_total == 19


def test_an_upload_leaves_noise_and_gain_as_they_were(
    desk: Desk, tiny_weights: dict[str, torch.Tensor]
) -> None:
    before = emulated.get_mock_parameter()

    desk.run(desk.accept(pack_weights(tiny_weights, _described(TINY, tiny_weights)), TINY))

    assert emulated.get_mock_parameter() == before
    assert read_version(desk.models, NAME, "1").manifest.gain == OWN.gain
