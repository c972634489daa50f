"""Pictures of every kind that people send."""

import io

import pytest
from PIL import Image

from benchmarks.picture_kinds import KINDS, draw_pictures
from worker.learning.datasets import load_dataset


@pytest.mark.parametrize("kind", KINDS)
def test_the_pictures_of_a_seed_are_always_the_same(kind: str) -> None:
    dataset = load_dataset("digits")
    digits, labels = dataset.test_images.numpy(), dataset.test_labels.numpy()

    contents, wanted = draw_pictures(kind, digits, labels, 2, seed=3)

    assert draw_pictures(kind, digits, labels, 2, seed=3) == (contents, wanted)
    assert contents != draw_pictures(kind, digits, labels, 2, seed=4)[0]
    for content in contents:
        Image.open(io.BytesIO(content)).load()
