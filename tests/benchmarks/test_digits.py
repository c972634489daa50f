from pathlib import Path

import numpy as np
import pytest

from benchmarks.context import MeasurementError
from benchmarks.digits import reliable_crops, write_as_mnist
from worker.learning.datasets import load_dataset
from worker.learning.mnist_files import find_raw_folder


def labels_by_image() -> dict[bytes, int]:
    """What every test digit shows."""
    dataset = load_dataset("digits")
    images = dataset.test_images.flatten(1).numpy()
    return {image.tobytes(): int(label) for image, label in zip(images, dataset.test_labels, strict=True)}


def split(crops: bytes) -> list[bytes]:
    return [crops[start : start + 784] for start in range(0, len(crops), 784)]


def test_only_digits_that_are_always_read_correctly_are_taken() -> None:
    labels = labels_by_image()
    calls: list[int] = []

    def read(crops: bytes) -> list[int]:
        """Sevens are read as ones, and in the third call twos are too."""
        calls.append(len(calls))
        wrong = {7, 2} if len(calls) == 3 else {7}
        return [1 if labels[crop] in wrong else labels[crop] for crop in split(crops)]

    chosen = reliable_crops(read, count=40)

    assert len(chosen) == 40
    assert {crop.digit for crop in chosen} == {0, 1, 3, 4, 5, 6, 8, 9}
    assert all(labels[crop.crop] == crop.digit for crop in chosen)


def test_a_network_that_reads_nothing_reliably_is_refused() -> None:
    with pytest.raises(MeasurementError, match="are read reliably"):
        reliable_crops(lambda crops: [10] * (len(crops) // 784))


def test_the_digits_are_written_as_mnist_is(tmp_path: Path) -> None:
    dataset = load_dataset("digits")

    folder = find_raw_folder(write_as_mnist(tmp_path))

    images = (folder / "t10k-images-idx3-ubyte").read_bytes()
    assert np.frombuffer(images[:16], ">u4").tolist() == [0x803, len(dataset.test_labels), 28, 28]
    assert images[16:] == dataset.test_images.numpy().tobytes()
    assert len((folder / "train-labels-idx1-ubyte").read_bytes()) == 8 + len(dataset.train_labels)
