"""Pictures as people send them, of every kind: the digit is found, and read as that of a clean page is."""

import json
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from benchmarks.picture_drawing import ink_of, place, png
from benchmarks.picture_kinds import KINDS, draw_pictures
from hxtorch_emulator import perceptron
from services.errors import InvalidImagesError
from services.images import read_image
from services.networks.network import Network
from tests.needs import shared_folder
from worker.learning.datasets import Dataset, load_dataset
from worker.learning.inference import Classifier
from worker.learning.recipes import resolve
from worker.learning.training import Trainer

Crop = NDArray[np.uint8]


def _alike(one: Crop, other: Crop) -> float:
    return float(np.corrcoef(one.ravel(), other.ravel())[0, 1])


@pytest.mark.parametrize("kind", KINDS)
def test_a_picture_of_every_kind_becomes_the_crop_of_its_digit(kind: str) -> None:
    dataset = load_dataset("digits")
    digits, labels = dataset.test_images.numpy(), dataset.test_labels.numpy()
    chosen = np.random.default_rng(5).permutation(len(digits))[:8]

    contents, _ = draw_pictures(kind, digits, labels, 8, seed=5)

    clean = [png(255 * (1 - place(ink_of(digits[place_], 170), (280, 280)))) for place_ in chosen]
    likeness = [
        _alike(read_image(content, "it"), read_image(page, "page"))
        for content, page in zip(contents, clean, strict=True)
    ]
    assert np.median(likeness) > 0.85, likeness
    assert sum(value > 0.7 for value in likeness) >= 7, likeness


@pytest.fixture(scope="module")
def mnist() -> Dataset:
    return load_dataset("mnist", shared_folder("mnist"))


@pytest.fixture(scope="module")
def read(mnist: Dataset) -> Callable[[Crop], int]:
    """A function that reads a crop as a model of the recipe `strong` does."""
    module: Any = perceptron
    threads = torch.get_num_threads()
    torch.set_num_threads(1)  # several are many times slower beside other work
    trainer = Trainer(resolve("strong"), Network.perceptron(), mnist, module)
    while not trainer.finished:
        trainer.step()
    torch.set_num_threads(threads)
    classifier = Classifier(trainer.spec, trainer.weights(), module, mock=True)
    return lambda crop: int(classifier.mean_scores(crop.reshape(1, 784), 8).argmax())


@pytest.mark.long
@pytest.mark.timeout(600)
@pytest.mark.parametrize("kind", KINDS)
def test_pictures_of_every_kind_are_read(kind: str, mnist: Dataset, read: Callable[[Crop], int]) -> None:
    """Two digits less than wanted are allowed: the model reads one or two of fifty clean crops wrong."""
    contents, labels = draw_pictures(kind, mnist.test_images.numpy(), mnist.test_labels.numpy(), 50)

    right = sum(
        read(read_image(content, "it")) == label for content, label in zip(contents, labels, strict=True)
    )

    assert right >= KINDS[kind].wanted - 2


@pytest.mark.long
@pytest.mark.timeout(600)
def test_pictures_that_were_read_wrong_are_read_right(read: Callable[[Crop], int]) -> None:
    folder = shared_folder("cases")
    cases = json.loads((folder / "cases.json").read_text("utf-8"))
    pictures = {
        case["file"]: case["expected"] for case in cases if (case["file"] or "").endswith((".png", ".jpg"))
    }

    for file, expected in pictures.items():
        if expected.startswith("422"):
            with pytest.raises(InvalidImagesError, match="shows no digit"):
                read_image((folder / file).read_bytes(), "it")
        else:
            assert read(read_image((folder / file).read_bytes(), file)) == int(expected[-1]), file
