"""The content of a data set's next version."""

import numpy as np

from services.corrections.merging import merge, no_crops
from services.corrections.record import Correction
from services.datasets.files import LabelledCrops

SHAPE = (28, 28)


def _correction(seed: int, digit: int | None, at: float = 0.0) -> Correction:
    crop = np.random.default_rng(seed).bytes(784)
    return Correction(f"c-{seed}", digit, "answer", at, crop)


def _labels(part: LabelledCrops) -> dict[bytes, int]:
    return {image.tobytes(): int(label) for image, label in zip(part.images, part.labels, strict=True)}


def test_a_fifth_of_each_digit_is_held_back_and_no_crop_is_on_both_sides() -> None:
    corrections = [_correction(seed, seed % 3) for seed in range(30)]

    merged = merge(no_crops(), no_crops(), corrections)

    train, test = _labels(merged.train), _labels(merged.test)
    assert (merged.train.counts[:3], merged.test.counts[:3]) == ([8, 8, 8], [2, 2, 2])
    assert train | test == {c.crop: c.digit for c in corrections}
    assert not train.keys() & test.keys()
    assert merged.remarks == []


def test_merging_again_changes_nothing_and_new_crops_leave_the_old_where_they_are() -> None:
    first = [_correction(seed, 4) for seed in range(10)]
    before = merge(no_crops(), no_crops(), first)

    again = merge(before.train, before.test, first)
    grown = merge(before.train, before.test, [_correction(seed, 4) for seed in range(10, 25)])

    assert _labels(again.train) == _labels(before.train)
    assert _labels(again.test) == _labels(before.test)
    assert list(_labels(grown.train))[:8] == list(_labels(before.train))
    assert list(_labels(grown.test))[:2] == list(_labels(before.test))
    assert (len(grown.train), len(grown.test)) == (20, 5)


def test_the_last_word_on_a_crop_counts() -> None:
    first = [_correction(seed, 4) for seed in range(5)]
    before = merge(no_crops(), no_crops(), first)

    merged = merge(before.train, before.test, [_correction(0, 9), _correction(0, 7), _correction(1, None)])

    together = _labels(merged.train) | _labels(merged.test)
    assert together[first[0].crop] == 7
    assert first[1].crop not in together
    assert len(together) == 4


def test_crops_without_a_digit_are_left_out_and_said() -> None:
    merged = merge(no_crops(), no_crops(), [_correction(0, None), _correction(1, None), _correction(2, 3)])

    assert (len(merged.train), len(merged.test)) == (1, 0)
    assert merged.train.images.shape == (1, *SHAPE)
    assert merged.remarks == ["2 crops show no digit and were left out."]
