"""The content of a data set's next version: all that the newest one has, and corrections."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np

from services.corrections.record import Correction
from services.datasets.files import LabelledCrops

TEST_SHARE: Final = 0.2
"""Share of the crops of each digit that are held back as test crops."""
_SHAPE: Final = (28, 28)

Labels = dict[bytes, int]
"""Digits by crop, 784 bytes."""


@dataclass(frozen=True, slots=True)
class Merged:
    """Both parts of a version, and sentences about it."""

    train: LabelledCrops
    test: LabelledCrops
    remarks: list[str]


def merge(train: LabelledCrops, test: LabelledCrops, corrections: Sequence[Correction]) -> Merged:
    """Return both parts with the corrections in them, each crop once.

    A crop that is there already keeps its part and takes its last label; crops that show no digit are left out. New
    crops are held back by their hash until the test part has its share of the digit, so the same corrections give the
    same version.

    Args:
        train: training part of the newest version.
        test: its test part.
        corrections: oldest word first.
    """
    parts = _labels(train), _labels(test)
    last = {correction.crop: correction.digit for correction in corrections}
    new: Labels = {}
    for crop, digit in last.items():
        part = next((part for part in parts if crop in part), None)
        if digit is None:
            if part is not None:
                del part[crop]
        elif part is not None:
            part[crop] = digit
        else:
            new[crop] = digit
    _share_out(new, *parts)
    left_out = sum(digit is None for digit in last.values())
    return Merged(_crops(parts[0]), _crops(parts[1]), _remarks(left_out))


def _share_out(new: Labels, train: Labels, test: Labels) -> None:
    """Add new crops to the parts."""
    for digit in range(10):
        crops = sorted((crop for crop, label in new.items() if label == digit), key=_hash)
        held_back = sum(label == digit for label in test.values())
        total = held_back + sum(label == digit for label in train.values()) + len(crops)
        wanted = max(0, round(TEST_SHARE * total) - held_back)
        test |= dict.fromkeys(crops[:wanted], digit)
        train |= dict.fromkeys(crops[wanted:], digit)


def _hash(crop: bytes) -> bytes:
    return hashlib.sha256(crop).digest()


def _labels(part: LabelledCrops) -> Labels:
    return {image.tobytes(): int(label) for image, label in zip(part.images, part.labels, strict=True)}


def _crops(labels: Labels) -> LabelledCrops:
    images = np.frombuffer(b"".join(labels), np.uint8).reshape(-1, *_SHAPE)
    return LabelledCrops(images, np.fromiter(labels.values(), np.uint8, len(labels)))


def no_crops() -> LabelledCrops:
    """Return an empty part."""
    return _crops({})


def _remarks(left_out: int) -> list[str]:
    if not left_out:
        return []
    said = "crop shows no digit and was" if left_out == 1 else "crops show no digit and were"
    return [f"{left_out} {said} left out."]
