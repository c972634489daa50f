"""Synthetic hands: always the same, and distinct."""

import numpy as np
import pytest

from benchmarks.hands import HANDS, write
from worker.learning.datasets import load_dataset


@pytest.mark.parametrize("name", HANDS)
def test_a_hand_writes_the_same_crops_every_time(name: str) -> None:
    dataset = load_dataset("digits")
    digits, labels = dataset.test_images.numpy(), dataset.test_labels.numpy()

    written, again = (write(HANDS[name], digits, labels, examples=2, others=3) for _ in range(2))

    assert np.array_equal(written.train_images, again.train_images)
    assert np.array_equal(written.test_images, again.test_images)
    assert written.train_images.shape == (20, 28, 28)
    assert written.test_labels.tolist() == [digit for digit in range(10) for _ in range(3)]
    both = np.concatenate((written.train_images, written.test_images)).reshape(50, -1)
    assert len(np.unique(both, axis=0)) == 50


def test_hands_differ_in_more_than_their_digits() -> None:
    assert len({hand.seed for hand in HANDS.values()}) == len(HANDS)
    assert len({(hand.slant, hand.rotation_deg, hand.width) for hand in HANDS.values()}) == len(HANDS)
