"""Envelopes and what they are written with."""

from pathlib import Path

import numpy as np
import pytest

from hxserve_letters.digits import Digits, load_digits
from hxserve_letters.directory import Directory
from hxserve_letters.envelopes import Writer
from hxserve_letters.errors import DigitsMissingError
from worker.learning.datasets import load_dataset


def test_a_letter_depends_on_its_seed_and_number_only(small_digits: Digits, directory: Directory) -> None:
    first = Writer(small_digits, directory, seed=1)
    second = Writer(small_digits, directory, seed=1)
    second.draw(5)

    letter, again, other = first.draw(7), second.draw(7), Writer(small_digits, directory, seed=2).draw(7)

    assert letter.postcode == again.postcode
    assert np.array_equal(letter.picture, again.picture)
    assert not np.array_equal(letter.picture, other.picture)


def test_the_digits_are_darker_than_the_paper_around_them(small_digits: Digits, directory: Directory) -> None:
    writer = Writer(small_digits, directory, seed=4)

    for number in range(10):
        letter = writer.draw(number)
        for box in letter.boxes:
            (left, top), (right, bottom) = box.min(0).astype(int), box.max(0).astype(int)
            inside = letter.picture[top:bottom, left:right]
            assert (
                inside.min() < np.median(letter.picture[top - 30 : bottom + 30, left - 30 : right + 30]) - 30
            )


def test_the_small_digits_are_those_a_service_keeps_for_testing(small_digits: Digits) -> None:
    theirs = load_dataset("digits")

    assert small_digits.labels.tolist() == theirs.test_labels.tolist()
    assert np.abs(small_digits.images.astype(int) - theirs.test_images.numpy().astype(int)).max() <= 1


def test_no_digit_is_in_both_halves(mnist: Path) -> None:
    kept, reported = load_digits(mnist).halves()

    seen = {image.tobytes() for image in kept.images}
    assert len(kept.labels) + len(reported.labels) == 10_000
    assert not any(image.tobytes() in seen for image in reported.images)


def test_the_digits_are_those_of_the_test_set(mnist: Path) -> None:
    digits = load_digits(mnist)

    theirs = load_dataset("mnist", mnist)
    assert np.array_equal(digits.images, theirs.test_images.numpy())
    assert np.array_equal(digits.labels, theirs.test_labels.numpy())


def test_a_folder_without_mnist_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DigitsMissingError, match="holds no MNIST"):
        load_digits(tmp_path)


def test_a_damaged_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "t10k-images-idx3-ubyte").write_bytes(b"\x00\x00\x08\x03" + bytes(20))
    (tmp_path / "t10k-labels-idx1-ubyte").write_bytes(b"\x00\x00\x08\x01" + bytes(4))

    with pytest.raises(DigitsMissingError, match="t10k-images"):
        load_digits(tmp_path)
