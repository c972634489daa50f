"""What looks like a digit, and what does not."""

import numpy as np
import pytest

from benchmarks.not_digits import draw
from hxserve_pictures.likeness import likeness
from worker.learning.datasets import load_dataset


def test_digits_look_like_digits() -> None:
    digits = load_dataset("digits").test_images.numpy()

    found = [likeness(image) for image in digits]

    assert np.mean(np.array(found) > 0.9) > 0.9


def test_what_is_no_digit_does_not() -> None:
    dataset = load_dataset("digits")
    digits, labels = dataset.test_images.numpy(), dataset.test_labels.numpy()
    random = np.random.default_rng(9)

    found = [likeness(draw(digits, labels, random)) for _ in range(300)]

    assert np.mean(np.array(found) > 0.9) < 0.15


@pytest.mark.parametrize("tone", [0, 255])
def test_an_even_crop_does_not_look_like_a_digit(tone: int) -> None:
    assert likeness(np.full((28, 28), tone, np.uint8)) < 0.5
