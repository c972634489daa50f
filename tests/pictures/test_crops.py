"""The crop of a digit: its size, its place, and its slant."""

from pathlib import Path

import cv2
import numpy as np
import pytest

from hxserve_pictures.crops import make_crop
from tests.needs import shared_folder
from worker.learning.datasets import load_dataset


@pytest.mark.parametrize("lean", [0.0, 0.14])
def test_a_digit_of_mnist_stays_what_it_is(lean: float) -> None:
    images = load_dataset("mnist", Path(shared_folder("mnist"))).test_images.numpy()[:50]

    for image in images:
        left, top, width, height = cv2.boundingRect((image > 40).astype(np.uint8))
        ink = np.ascontiguousarray(image[top : top + height, left : left + width])
        crop = make_crop(ink, (ink > 40).astype(np.uint8), 250.0, lean=lean)
        y, x = np.nonzero(crop > 127)
        weights = crop.astype(float)
        assert max(np.ptp(x), np.ptp(y)) + 1 <= 22
        assert abs((weights.sum(0) * np.arange(28)).sum() / weights.sum() - 13.5) < 1
        assert abs((weights.sum(1) * np.arange(28)).sum() / weights.sum() - 13.5) < 1


@pytest.mark.parametrize("height", [12, 37, 90, 700])
def test_a_stroke_becomes_20_px_high_and_stands_in_the_middle(height: int) -> None:
    ink = np.full((height, max(1, height // 9)), 180, np.uint8)

    crop = make_crop(ink, np.ones_like(ink), 180.0)

    rows, columns = np.flatnonzero((crop > 127).any(1)), np.flatnonzero((crop > 127).any(0))
    assert 19 <= np.ptp(rows) + 1 <= 21
    assert abs(rows.mean() - 13.5) <= 0.5
    assert abs(columns.mean() - 13.5) <= 0.5


def test_a_lean_leans_to_the_right() -> None:
    ink = np.full((60, 8), 255, np.uint8)

    crop = make_crop(ink, np.ones_like(ink), 255.0, lean=0.14)

    top, bottom = (np.flatnonzero(crop[row] > 127).mean() for row in (5, 22))
    assert 1.5 <= top - bottom <= 3.5
