"""Labelled crops and data sets that tests publish."""

import numpy as np

from services.datasets.files import LabelledCrops
from services.datasets.manifest import DatasetOrigin


def some_labelled(count: int, seed: int = 0) -> LabelledCrops:
    """Return random crops with digits that follow each other."""
    images = np.random.default_rng(seed).integers(0, 256, (count, 28, 28), np.uint8)
    return LabelledCrops(images, (np.arange(count) % 10).astype(np.uint8))


def a_dataset_origin(name: str = "ada~mine", job: str = "", user: str = "ada") -> DatasetOrigin:
    """Return the origin of an uploaded data set."""
    return DatasetOrigin(name=name, user=user, job=job, source="upload")
