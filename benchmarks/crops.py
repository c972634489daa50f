"""Crops whose reading is beyond doubt, so that a wrong answer under load is a mistake and no weakness."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from benchmarks.context import MeasurementError
from worker.learning.datasets import load_dataset

_REPEATS = 5


@dataclass(frozen=True, slots=True)
class LabelledCrop:
    """784 bytes and the digit they show."""

    crop: bytes
    digit: int


def clear_crops(read: Callable[[bytes], Sequence[int]], count: int = 64) -> list[LabelledCrop]:
    """Test digits of scikit-learn's set that `read` gets right again and again, spread over all digits.

    Raises:
        MeasurementError: when there are not enough; the network has not learnt its job.
    """
    dataset = load_dataset("digits")
    images = dataset.test_images.flatten(1).numpy()
    labels = dataset.test_labels.numpy()
    always_right = np.ones(len(labels), dtype=bool)
    for _ in range(_REPEATS):
        always_right &= np.asarray(read(images.tobytes())) == labels
    by_digit = [np.flatnonzero(always_right & (labels == digit)) for digit in range(10)]
    order = [group[place] for place in range(len(labels)) for group in by_digit if place < len(group)]
    if len(order) < count:
        raise MeasurementError(f"only {len(order)} of {len(labels)} test digits are read reliably")
    return [LabelledCrop(images[place].tobytes(), int(labels[place])) for place in order[:count]]
