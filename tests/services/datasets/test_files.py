"""Data sets as files: published whole or not at all, found by content, and checked when read."""

from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.numpy import load_file

from services.datasets.files import CROPS, DatasetStore, LabelledCrops, sha256_of
from services.errors import DatasetDamagedError, DatasetNotFoundError, InvalidInputError, StorageError
from services.publication import MANIFEST
from tests.services.datasets.crops import a_dataset_origin, some_labelled
from worker.learning.datasets import _fingerprint


@pytest.fixture
def datasets(tmp_path: Path) -> DatasetStore:
    return DatasetStore(tmp_path / "datasets")


def test_a_published_data_set_is_read_back_as_it_was(datasets: DatasetStore) -> None:
    train, test = some_labelled(13), some_labelled(7, seed=1)

    manifest = datasets.publish(a_dataset_origin(), train, test)

    read, read_test = datasets.crops("ada~mine", "1")
    assert manifest.version == "1"
    assert datasets.manifest("ada~mine", "1") == manifest
    assert manifest.counts.train == [2, 2, 2, 1, 1, 1, 1, 1, 1, 1]
    assert manifest.counts.test == [1] * 7 + [0] * 3
    np.testing.assert_array_equal(read.images, train.images)
    np.testing.assert_array_equal(read.labels, train.labels)
    np.testing.assert_array_equal(read_test.images, test.images)
    np.testing.assert_array_equal(read_test.labels, test.labels)


def test_the_file_has_the_tensors_of_the_documentation(datasets: DatasetStore) -> None:
    datasets.publish(a_dataset_origin(), some_labelled(13), some_labelled(7))

    tensors = load_file(datasets.crops_path("ada~mine", "1"))

    assert {name: (tensor.shape, tensor.dtype.name) for name, tensor in tensors.items()} == {
        "train_images": ((13, 28, 28), "uint8"),
        "train_labels": ((13,), "uint8"),
        "test_images": ((7, 28, 28), "uint8"),
        "test_labels": ((7,), "uint8"),
    }


def test_the_fingerprint_is_that_of_trainings() -> None:
    train, test = some_labelled(13), some_labelled(7, seed=1)
    tensors = [torch.from_numpy(part) for part in (train.images, train.labels, test.images, test.labels)]
    tensors[1], tensors[3] = tensors[1].long(), tensors[3].long()

    assert sha256_of(train, test) == _fingerprint(*tensors)


def test_content_that_the_newest_version_has_makes_no_new_one(datasets: DatasetStore) -> None:
    one, two, test = some_labelled(13), some_labelled(14), some_labelled(3)

    versions = [datasets.publish(a_dataset_origin(), train, test).version for train in (one, one, two, one)]

    assert versions == ["1", "1", "2", "3"]


def test_a_job_publishes_once_however_often_it_tries(datasets: DatasetStore) -> None:
    test = some_labelled(3)
    datasets.publish(a_dataset_origin(job="a"), some_labelled(13), test)
    datasets.publish(a_dataset_origin(job="b"), some_labelled(14), test)

    again = datasets.publish(a_dataset_origin(job="a"), some_labelled(13), test)

    assert again.version == "1"
    assert datasets.versions("ada~mine") == ["1", "2"]


def test_a_number_is_not_used_again(datasets: DatasetStore) -> None:
    datasets.publish(a_dataset_origin(), some_labelled(13), some_labelled(3))

    datasets.delete_version("ada~mine", "1")

    assert datasets.names() == []
    with pytest.raises(DatasetNotFoundError):
        datasets.manifest("ada~mine", "1")
    with pytest.raises(DatasetNotFoundError):
        datasets.delete_version("ada~mine", "1")
    assert datasets.publish(a_dataset_origin(), some_labelled(13), some_labelled(3)).version == "2"


@pytest.mark.parametrize("file", [CROPS, MANIFEST])
def test_damaged_files_are_named_as_such(datasets: DatasetStore, file: str) -> None:
    datasets.publish(a_dataset_origin(), some_labelled(13), some_labelled(3))
    path = datasets.folder / "ada~mine" / "1" / file
    content = bytearray(path.read_bytes())
    content[-5] ^= 1
    path.write_bytes(content if file == CROPS else b"{}")

    with pytest.raises(DatasetDamagedError, match="ada~mine@1 is damaged"):
        datasets.crops("ada~mine", "1")


def test_a_missing_file_of_crops_is_damage(datasets: DatasetStore) -> None:
    datasets.publish(a_dataset_origin(), some_labelled(13), some_labelled(3))
    datasets.crops_path("ada~mine", "1").unlink()

    with pytest.raises(DatasetDamagedError, match="No such file"):
        datasets.crops("ada~mine", "1")


def test_what_cannot_be_written_is_not_published(tmp_path: Path) -> None:
    (tmp_path / "datasets").write_text("in the way")

    with pytest.raises(StorageError):
        DatasetStore(tmp_path / "datasets").publish(a_dataset_origin(), some_labelled(13), some_labelled(3))


def test_a_downloaded_mnist_is_no_data_set(datasets: DatasetStore) -> None:
    (datasets.folder / "MNIST" / "1").mkdir(parents=True)

    assert datasets.names() == []


@pytest.mark.parametrize(
    ("images", "labels"),
    [
        (np.zeros((3, 28, 27), np.uint8), np.zeros(3, np.uint8)),
        (np.zeros((2, 28, 28), np.uint8), np.zeros(3, np.uint8)),
        (np.zeros((3, 28, 28), np.float32), np.zeros(3, np.uint8)),
        (np.zeros((3, 28, 28), np.uint8), np.full(3, 10, np.uint8)),
    ],
)
def test_labelled_crops_have_one_form(images: np.ndarray, labels: np.ndarray) -> None:
    with pytest.raises(InvalidInputError, match="expected"):
        LabelledCrops(images, labels)


def test_the_size_of_an_owners_crops_is_that_of_the_files(datasets: DatasetStore) -> None:
    manifests = [
        datasets.publish(a_dataset_origin(name), some_labelled(count), some_labelled(2))
        for name, count in (("mine", 3), ("ada~mine", 4), ("ada~letters", 5))
    ]

    assert datasets.bytes_of("ada") == manifests[1].bytes + manifests[2].bytes
    assert (datasets.bytes_of(None), datasets.bytes_of("grace")) == (manifests[0].bytes, 0)
    assert datasets.crops_path("mine", "1").stat().st_size == manifests[0].bytes


def test_publishing_leaves_no_file_behind(datasets: DatasetStore) -> None:
    for count in (3, 3, 4):
        datasets.publish(a_dataset_origin(), some_labelled(count), some_labelled(2))

    names = sorted(path.name for path in datasets.folder.rglob("*"))
    assert names == [
        "1",
        "2",
        "ada~mine",
        "crops.safetensors",
        "crops.safetensors",
        "manifest.json",
        "manifest.json",
    ]


def test_the_same_crops_in_the_other_part_are_another_version(datasets: DatasetStore) -> None:
    crops, nothing = some_labelled(13), some_labelled(0)

    datasets.publish(a_dataset_origin(), crops, nothing)

    assert datasets.publish(a_dataset_origin(), nothing, crops).version == "2"
