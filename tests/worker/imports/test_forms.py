"""Every form in which people have digits becomes the same data set."""

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pytest

from services.datasets.files import LabelledCrops, sha256_of
from tests.worker.imports.files import (
    Desk,
    desk_in,
    digits,
    folders,
    gzipped,
    idx,
    npy,
    npz,
    parquet,
    png,
    table,
    zipped,
)

TRAIN, TEST = digits(73), digits(31, seed=1)
IDX = {
    "train-images-idx3-ubyte": idx(TRAIN.images),
    "train-labels-idx1-ubyte": idx(TRAIN.labels),
    "t10k-images-idx3-ubyte": idx(TEST.images),
    "t10k-labels-idx1-ubyte": idx(TEST.labels),
}
ONE_HOT = np.eye(10)[TRAIN.labels]


@pytest.fixture
def desk(tmp_path: Path) -> Desk:
    return desk_in(tmp_path)


def _labels(crops: LabelledCrops, head: str, name: str = "{}.png") -> bytes:
    lines = [f"{name.format(place)},{label}" for place, label in enumerate(crops.labels)]
    return "\r\n".join([head, *lines]).encode()


FORMS: dict[str, Mapping[str, bytes]] = {
    "idx": IDX,
    "idx.gz": {f"{name}.gz": gzipped(content) for name, content in IDX.items()},
    "idx with dots": {name.replace("-idx", ".idx"): content for name, content in IDX.items()},
    "idx in a zip": {"archive.zip": zipped({f"raw/{name}": content for name, content in IDX.items()})},
    "idx twice": {
        "archive.zip": zipped({**IDX, **{f"{name}/{name}": content for name, content in IDX.items()}})
    },
    "csv": {"mnist_train.csv": table(TRAIN), "mnist_test.csv": table(TEST)},
    "csv without names": {"train.csv": table(TRAIN, names=False), "test.csv": table(TEST, end="\r\n")},
    "csv.gz": {"train.csv.gz": gzipped(table(TRAIN)), "test.csv": table(TEST)},
    "npz": {
        "mnist.npz": npz(x_train=TRAIN.images, y_train=TRAIN.labels, x_test=TEST.images, y_test=TEST.labels)
    },
    "npz of other types": {
        "mnist.npz": npz(
            train_images=TRAIN.images.reshape(-1, 784).astype(np.float32) / 255,
            train_labels=ONE_HOT,
            test_images=TEST.images[..., np.newaxis].astype(np.int64),
            test_labels=TEST.labels.astype(np.int32)[:, np.newaxis],
        )
    },
    "npz in Fortran's order": {
        "mnist.npz": npz(
            x_train=np.asfortranarray(TRAIN.images),
            y_train=TRAIN.labels,
            x_test=TEST.images.astype(">f8"),
            y_test=TEST.labels,
        )
    },
    "npz in a zip": {
        "archive.zip": zipped(
            {
                "m/mnist.npz": npz(
                    x_train=TRAIN.images, y_train=TRAIN.labels, x_test=TEST.images, y_test=TEST.labels
                )
            }
        )
    },
    "npy": {
        "x_train.npy": npy(TRAIN.images),
        "y_train.npy": npy(TRAIN.labels),
        "x_test.npy": npy(TEST.images),
        "y_test.npy": npy(TEST.labels),
    },
    "folders": {"digits.zip": zipped({**folders(TRAIN, "digits/train/"), **folders(TEST, "digits/test/")})},
    "pictures one by one": {**folders(TRAIN, "train/"), **folders(TEST, "testing/")},
    "tables of labels": {
        "digits.zip": zipped(
            {
                **{f"train/images/{place}.png": png(image) for place, image in enumerate(TRAIN.images)},
                **{f"test/{place}.png": png(image) for place, image in enumerate(TEST.images)},
                "train/labels.csv": _labels(TRAIN, "file,label"),
                "test/labels.csv": _labels(TEST, '"id","Digit"', "{}"),
                "__MACOSX/train/._0.png": b"\x00\x05\x16\x07",
                ".DS_Store": b"\x00",
                "README.md": b"# Digits",
            }
        )
    },
    "parquet": {
        "train-00000-of-00001.parquet": parquet(TRAIN),
        "mnist/test-00000-of-00001.parquet": parquet(TEST),
    },
    "parquet in a zip": {
        "mnist.zip": zipped({"data/train-0.parquet": parquet(TRAIN), "data/test-0.parquet": parquet(TEST)})
    },
    "of several forms": {"train.csv": table(TRAIN), "test.zip": zipped(folders(TEST, "test/"))},
}


@pytest.mark.parametrize("form", FORMS)
def test_every_form_becomes_the_same_data_set(desk: Desk, form: str) -> None:
    manifest, train, test = desk.bring(FORMS[form])

    np.testing.assert_array_equal(np.bincount(train.labels), np.bincount(TRAIN.labels))
    np.testing.assert_array_equal(test.labels, TEST.labels)
    np.testing.assert_array_equal(test.images, TEST.images)
    assert manifest.sha256 == sha256_of(TRAIN, TEST)
    assert [file.name for file in manifest.files] == list(FORMS[form])


def test_the_manifest_says_who_when_and_from_what(desk: Desk) -> None:
    job = desk.accept(IDX)

    result = desk.run(job)

    manifest = desk.datasets.manifest("ada~mine", "1")
    assert result == {
        "dataset": "ada~mine",
        "version": "1",
        "sha256": manifest.sha256,
        "counts": {"train": TRAIN.counts, "test": TEST.counts},
        "remarks": [],
    }
    assert (manifest.user, manifest.job, manifest.source) == ("ada", job.id, "upload")
    assert [file.bytes for file in manifest.files] == [len(content) for content in IDX.values()]


def test_without_a_test_part_a_fraction_of_each_digit_is_chosen(desk: Desk) -> None:
    crops = digits(200)

    manifest, train, test = desk.bring({"train.csv": table(crops)}, test_fraction=0.25)

    assert (train.counts, test.counts) == ([15] * 10, [5] * 10)
    assert "0.25 of each digit" in manifest.remarks[0]
    _, again, _ = desk.bring(
        {"images.npy": npy(crops.images[::-1]), "labels.npy": npy(crops.labels[::-1])}, test_fraction=0.25
    )
    assert {image.tobytes() for image in again.images} == {image.tobytes() for image in train.images}


def test_equal_crops_are_never_on_both_sides(desk: Desk) -> None:
    crops = digits(40)
    twice = LabelledCrops(np.concatenate([crops.images] * 2), np.concatenate([crops.labels] * 2))

    _, train, test = desk.bring({"train.csv": table(twice)}, test_fraction=0.5)

    assert len(train) + len(test) == 80
    assert not {image.tobytes() for image in train.images} & {image.tobytes() for image in test.images}


def test_training_crops_of_the_test_part_are_left_out_and_counted(desk: Desk) -> None:
    both = LabelledCrops(
        np.concatenate([TRAIN.images, TEST.images[:7]]), np.concatenate([TRAIN.labels, TEST.labels[:7]])
    )

    manifest, train, test = desk.bring({"train.csv": table(both), "test.csv": table(TEST)})

    assert (len(train), len(test)) == (73, 31)
    assert manifest.remarks == [
        "7 training crops are also in the test part, and were left out of the training part."
    ]


def test_one_crop_with_two_digits_is_remarked(desk: Desk) -> None:
    crops = digits(30)
    crops.images[3] = crops.images[4]

    manifest, _, _ = desk.bring({"train.csv": table(crops), "test.csv": table(TEST)})

    assert manifest.remarks == ["1 crops occur with another digit, too; look at their labels."]


def test_inverted_crops_are_remarked(desk: Desk) -> None:
    manifest, _, _ = desk.bring(
        {"train.csv": table(LabelledCrops(255 - TRAIN.images, TRAIN.labels)), "test.csv": table(TEST)}
    )

    assert manifest.remarks == [
        "73 crops look inverted: their ground is bright, and crops are bright on dark."
    ]


def test_no_test_part_and_nothing_else_can_be_asked_for(desk: Desk) -> None:
    _, train, test = desk.bring({"train.csv": table(TRAIN)}, test_fraction=0.0)
    assert (len(train), len(test)) == (73, 0)

    _, train, test = desk.bring({"train.csv": table(TRAIN)}, test_fraction=1.0)
    assert (len(train), len(test)) == (0, 73)


def test_pictures_pass_the_normalisation_of_classification(desk: Desk) -> None:
    crop = TRAIN.images[2]
    large = np.full((150, 120), 240, np.uint8)
    large[20:132, 5:117] = 255 - np.kron(crop, np.ones((4, 4), np.uint8))

    _, train, _ = desk.bring({"2/photo.png": png(large)}, test_fraction=0)

    assert train.labels.tolist() == [2]
    assert train.images[0, 0].max() == 0
    overlap = np.corrcoef(train.images[0].reshape(-1), crop.reshape(-1))[0, 1]
    assert overlap > 0.5


def test_crops_are_centred_where_it_is_asked_for(desk: Desk) -> None:
    image = np.zeros((1, 28, 28), np.uint8)
    image[0, 0:10, 0:4] = 255

    _, as_it_is, _ = desk.bring({"images.npy": npy(image), "labels.npy": npy(np.array([1]))}, test_fraction=0)
    _, centred, _ = desk.bring(
        {"images.npy": npy(image), "labels.npy": npy(np.array([1]))}, test_fraction=0, centre=True
    )

    np.testing.assert_array_equal(as_it_is.images, image)
    assert centred.images[0, 10:18, 12:16].min() == 255


def test_images_of_another_size_are_read_as_pictures(desk: Desk) -> None:
    large = np.kron(TRAIN.images[:3], np.ones((1, 2, 2), np.uint8))

    _, train, _ = desk.bring({"images.npy": npy(large), "labels.npy": npy(TRAIN.labels[:3])}, test_fraction=0)

    assert train.images.shape == (3, 28, 28)
