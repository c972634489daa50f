"""Batch jobs as a worker does them."""

import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from services.batch_jobs.answers import BatchStore
from services.batch_jobs.parts import UNREADABLE, parts_of
from services.datasets.uploads import DatasetUploads, DeclaredFile, ImportOptions
from services.errors import InvalidInputError, LeaseLostError
from services.jobs.record import Job, JobKind
from services.jobs.submission import new_job
from services.models.files import ModelStore
from services.networks.network import Network
from services.users.authentication import User
from tests.services.datasets.crops import some_labelled
from tests.services.samples import an_origin
from tests.worker.imports.files import digits, npy, png, zipped
from worker.activities import BatchActivity
from worker.checkpoints import pack_weights
from worker.chip import ChipSession
from worker.datasets import Datasets
from worker.learning.datasets import load_dataset
from worker.learning.network import build_network, weights_of
from worker.serving import LoadedVersion, LoadedVersions

ADA = User("ada")
NETWORK = Network.perceptron((64,), num_sends=(1, 1))
IMAGES = some_labelled(1000).images


@dataclass
class Desk:
    """A worker's part in batch jobs, with version 1 of `digits`, which has learnt nothing."""

    session: ChipSession
    datasets: Datasets
    versions: LoadedVersions
    uploads: DatasetUploads
    answers: BatchStore

    def job(self, files: Mapping[str, bytes] | None = None, **params: Any) -> Job:
        """The job of uploaded files, or of a data set."""
        if files is not None:
            declared = [DeclaredFile(name=name, bytes=len(content)) for name, content in files.items()]
            upload = self.uploads.begin("", ADA, declared, ImportOptions())
            for index, content in enumerate(files.values()):
                self.uploads.path(upload.id, index).write_bytes(content)
            params["upload"] = upload.id
        return new_job(JobKind.BATCH, ADA, "digits", {"version": "1", **params})

    def take_up(self, job: Job, batch_crops: int = 64) -> BatchActivity:
        """The activity of a worker that was just started."""
        return BatchActivity(
            job,
            self.session,
            self.datasets,
            self.versions,
            self.uploads,
            self.answers,
            batch_crops=batch_crops,
        )

    def run(self, job: Job) -> dict[str, Any]:
        """The result of a job that nothing disturbs."""
        activity = self.take_up(job)
        while not activity.finished:
            activity.step()
        assert activity.steps_done == activity.steps_total
        return activity.complete()

    def read(self, job: Job) -> NDArray[np.int8]:
        """The scores that were read."""
        return np.concatenate([part.scores for part in parts_of(self.answers.paths(job.id))])

    def expected(self, images: NDArray[np.uint8]) -> NDArray[np.int8]:
        """The scores that the version reads in crops."""
        return self.versions.get("digits", "1").read(images.reshape(-1, 784), 1).scores


@pytest.fixture
def desk(session: ChipSession, models: ModelStore, tmp_path: Path) -> Desk:
    torch.manual_seed(5)
    weights = weights_of(build_network(NETWORK, session.perceptron, "mock"))
    models.publish(an_origin(network=NETWORK), pack_weights(weights))
    folder = tmp_path / "datasets"
    return Desk(
        session,
        Datasets(None, folder),
        LoadedVersions(session, models),
        DatasetUploads(folder),
        BatchStore(tmp_path / "batches"),
    )


def test_a_file_is_read_as_single_crops_are(desk: Desk) -> None:
    job = desk.job({"crops.npy": npy(IMAGES)})

    result = desk.run(job)

    read, expected = desk.read(job), desk.expected(IMAGES)
    assert len(np.unique(expected, axis=0)) > 900
    assert np.array_equal(read, expected)
    assert (result["crops"], result["answered"], result["unreadable"]) == (1000, 1000, 0)
    assert result["digits"] == np.bincount(expected.argmax(1), minlength=10).tolist()
    assert result["files"] == [{"name": "crops.npy", "first": 0, "crops": 1000}]
    assert (result["stopped_by"], result["backend"], result["chip"]) == (None, "mock", desk.session.chip)
    assert result["calls"] >= 1000 / 64


def test_killed_again_and_again_each_crop_is_answered_once(desk: Desk) -> None:
    job = desk.job({"a.npy": npy(IMAGES[:333]), "b.npy": npy(IMAGES[333:])})

    kept = []
    for _ in range(1000):
        activity = desk.take_up(job)
        kept.append(activity.steps_done)
        while not activity.finished and activity.steps_done < kept[-1] + 90:
            activity.step()
        activity.save()
        if not activity.finished:
            activity.step()  # is lost
        else:
            activity.complete()
            break

    assert kept == sorted(set(kept))
    assert len(kept) > 5
    parts = list(parts_of(desk.answers.paths(job.id)))
    assert np.array_equal(desk.read(job), desk.expected(IMAGES))
    calls = np.concatenate([part.calls for part in parts])
    assert np.unique(calls).tolist() == list(range(sum(len(part.call_s) for part in parts)))


def test_a_worker_that_lost_its_chip_writes_no_answers_over_those_of_its_successor(desk: Desk) -> None:
    job = desk.job({"crops.npy": npy(IMAGES)})
    former, successor = desk.take_up(job), desk.take_up(job)
    for activity, crops in ((former, 100), (successor, 300)):
        while activity.steps_done < crops:
            activity.step()
    successor.save()

    with pytest.raises(LeaseLostError, match="another worker"):
        former.save()

    while not successor.finished:
        successor.step()
    successor.complete()
    assert np.array_equal(desk.read(job), desk.expected(IMAGES))


def test_pictures_that_show_no_digit_are_answered_with_the_reason(desk: Desk) -> None:
    drawn = digits(20).images
    entries = {f"{number}.png": png(image) for number, image in enumerate(drawn)}
    entries = {"blank.png": png(np.full((50, 50), 255, np.uint8)), **entries}
    job = desk.job({"letters.zip": zipped(entries)})

    result = desk.run(job)

    assert np.array_equal(desk.read(job)[1:], desk.expected(drawn))
    assert (result["answered"], result["unreadable"], sum(result["digits"])) == (21, 1, 20)
    parts = list(parts_of(desk.answers.paths(job.id)))
    assert parts[0].digits[0] == UNREADABLE
    assert [*parts[0].facts.problems] == [0]
    assert parts[0].facts.names[1] == "0.png"


def test_only_what_cannot_be_read_makes_no_chip_call_count(desk: Desk) -> None:
    result = desk.run(desk.job({"blank.png": png(np.full((50, 50), 255, np.uint8))}))

    assert (result["answered"], result["unreadable"], result["mean_confidence"]) == (1, 1, None)
    assert result["chip_s"] == 0


def test_used_up_chip_time_ends_the_job_with_the_answers_so_far(desk: Desk) -> None:
    job = desk.job({"crops.npy": npy(IMAGES)}, max_chip_s=1e-9)

    activity = desk.take_up(job)
    while not activity.finished:
        activity.step()
    result = activity.complete()

    assert result["stopped_by"] == "max_chip_s"
    assert 0 < result["answered"] < result["crops"] == 1000
    assert np.array_equal(desk.read(job), desk.expected(IMAGES[: result["answered"]]))


def test_a_job_cancelled_before_its_last_crops_says_so(desk: Desk) -> None:
    activity = desk.take_up(desk.job({"crops.npy": npy(IMAGES[:100])}), batch_crops=8)
    while activity.steps_done < 90:
        activity.step()

    result = activity.keep_part()

    assert (result["stopped_by"], result["answered"] < 100) == ("cancel", True)


def test_chip_time_that_suffices_just_so_stops_nothing(desk: Desk) -> None:
    job = desk.job({"crops.npy": npy(IMAGES[:16])}, max_chip_s=1e-9)

    result = desk.run(job)

    assert (result["stopped_by"], result["answered"]) == (None, 16)


def test_a_cancelled_job_keeps_its_answers(desk: Desk) -> None:
    job = desk.job({"crops.npy": npy(IMAGES)})
    activity = desk.take_up(job)
    while activity.steps_done < 200:
        activity.step()

    result = activity.keep_part()

    assert (result["stopped_by"], result["answered"]) == ("cancel", len(desk.read(job)))
    assert 200 <= result["answered"] < 1000


def test_a_file_that_is_cut_off_fails_the_job_and_keeps_what_was_read(desk: Desk) -> None:
    job = desk.job({"crops.npy": npy(IMAGES)[:-300_000]})

    with pytest.raises(InvalidInputError, match="cut off"):
        desk.run(job)

    assert len(desk.read(job)) > 300


@pytest.mark.parametrize("part", ["train", "test", "all"])
def test_a_data_set_is_read_whole_or_in_part(desk: Desk, part: str) -> None:
    job = desk.job(dataset="digits", part=part)

    result = desk.run(job)

    dataset = load_dataset("digits")
    images = {"train": [dataset.train_images], "test": [dataset.test_images]}
    wanted = images.get(part, [*images["train"], *images["test"]])
    assert result["crops"] == sum(len(each) for each in wanted)
    assert np.array_equal(desk.read(job), desk.expected(np.concatenate([each.numpy() for each in wanted])))


def test_calls_of_a_slow_network_take_few_crops(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    read = LoadedVersion.read_scores

    def slowly(self: LoadedVersion, crops: NDArray[np.uint8], repeats: int) -> NDArray[Any]:
        time.sleep(0.005 * len(crops))
        return read(self, crops, repeats)

    monkeypatch.setattr(LoadedVersion, "read_scores", slowly)
    job = desk.job({"crops.npy": npy(IMAGES[:200])})

    desk.run(job)

    calls = np.concatenate([part.calls for part in parts_of(desk.answers.paths(job.id))])
    assert np.bincount(calls).max() <= 50
    assert len(calls) == 200


def test_readings_are_repeated(desk: Desk) -> None:
    job = desk.job({"crops.npy": npy(IMAGES[:100])}, repeats=8)

    result = desk.run(job)

    assert result["calls"] >= 100 * 8 / 64
    assert [part.facts.sources[0].repeats for part in parts_of(desk.answers.paths(job.id))] == [8]
