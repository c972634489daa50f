"""Example crops of the test set that a worker publishes."""

from typing import Final

from services.chips.samples import Samples
from worker.learning.datasets import Dataset

_OF_EACH: Final = 40


def pick_samples(dataset: Dataset) -> dict[int, Samples]:
    """Return the first crops of each digit in the test set, as many as there are up to 40."""
    picked = {}
    for digit in range(10):
        chosen = dataset.test_images[dataset.test_labels == digit][:_OF_EACH]
        if len(chosen):
            picked[digit] = Samples(dataset.name, [bytes(crop.numpy().data) for crop in chosen])
    return picked
