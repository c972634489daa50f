"""Crops as they are read from files, and their division into a training and a test part."""

import hashlib
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final, Literal

import numpy as np
from numpy.typing import NDArray

from services.datasets.files import LabelledCrops
from services.errors import InvalidInputError

Part = Literal["train", "test"]

MOST_CROPS: Final = 300_000
"""A quarter of a gigabyte; all of MNIST has 70,000, the digits of EMNIST 280,000."""
MOST_PROBLEMS: Final = 20
_SMALL_CHUNKS: Final = 256
"""Single crops that are joined as they come, so that joining all at the end is quick."""
_BRIGHT: Final = 128
_CORNERS: Final = ((0, 0, -1, -1), (0, -1, 0, -1))

_Chunk = tuple[NDArray[np.uint8], NDArray[np.uint8], NDArray[np.uint64]]


@dataclass(frozen=True, slots=True)
class Division:
    """Both parts of a data set, and sentences about what was left out or looks wrong."""

    train: LabelledCrops
    test: LabelledCrops
    remarks: list[str]


@dataclass(slots=True)
class Collection:
    """The crops of an import by the part that their file names; None where it names none."""

    _chunks: dict[Part | None, list[_Chunk]] = field(default_factory=lambda: defaultdict(list))
    _small: dict[Part | None, list[_Chunk]] = field(default_factory=lambda: defaultdict(list))
    _problems: list[str] = field(default_factory=list)
    _remarks: list[str] = field(default_factory=list)
    _count: int = 0

    def __len__(self) -> int:
        return self._count

    def add(self, images: NDArray[np.uint8], labels: NDArray[np.uint8], part: Part | None) -> None:
        """Add crops, `(n, 28, 28)`, with their digits, `(n,)`.

        Raises:
            InvalidInputError: there are too many.
        """
        self._count += len(labels)
        if self._count > MOST_CROPS:
            raise InvalidInputError(
                f"the files hold more than {MOST_CROPS} crops; send fewer, or several data sets"
            )
        hashes = [hashlib.blake2b(crop.data, digest_size=8).digest() for crop in np.ascontiguousarray(images)]
        small = self._small[part]
        small.append((images, labels, np.frombuffer(b"".join(hashes), "<u8")))
        if len(labels) > 1 or len(small) == _SMALL_CHUNKS:
            self._chunks[part] += small if len(labels) > 1 else [_join(small)]
            small.clear()

    def remark(self, sentence: str) -> None:
        """Note a sentence for the manifest."""
        if sentence not in self._remarks:
            self._remarks.append(sentence)

    def report(self, problem: str) -> None:
        """Note what is wrong with one entry; the import is refused with all of these at its end.

        Raises:
            InvalidInputError: there are as many as one message lists.
        """
        self._problems.append(problem)
        if len(self._problems) == MOST_PROBLEMS:
            self.check()

    def check(self) -> None:
        """Raise InvalidInputError if something was wrong."""
        if len(self._problems) == 1:
            raise InvalidInputError(self._problems[0])
        if self._problems:
            more = "; there may be more" if len(self._problems) == MOST_PROBLEMS else ""
            raise InvalidInputError(f"{len(self._problems)} problems: {'; '.join(self._problems)}{more}")

    def divide(self, test_fraction: float) -> Division:
        """Return training and test part; without a test part among the files, one is chosen by the crops' hashes.

        Equal crops are in one part alone, so a crop of the test part is left out of the training part.

        Raises:
            InvalidInputError: no crop is left to train or test with.
        """
        remarks = list(self._remarks)
        images, labels, hashes = self._joined("train")
        test_images, test_labels, test_hashes = self._joined("test")
        if not len(test_labels):
            chosen = _choose(labels, hashes, test_fraction)
            test_images, test_labels, test_hashes = images[chosen], labels[chosen], hashes[chosen]
            images, labels, hashes = images[~chosen], labels[~chosen], hashes[~chosen]
            if test_fraction:
                remarks.append(
                    f"No file is named as the test part: {test_fraction:g} of each digit was chosen by the hashes of "
                    "the crops."
                )
        doubled = np.isin(hashes, test_hashes)
        if doubled.any():
            remarks.append(
                f"{doubled.sum()} training crops are also in the test part, and were left out of the training part."
            )
            images, labels, hashes = images[~doubled], labels[~doubled], hashes[~doubled]
        if not len(labels) and not len(test_labels):
            raise InvalidInputError("the files hold no crops")
        remarks += _doubts(np.concatenate([labels, test_labels]), np.concatenate([hashes, test_hashes]))
        remarks += _inverted(images, test_images)
        return Division(LabelledCrops(images, labels), LabelledCrops(test_images, test_labels), remarks)

    def _joined(self, part: Part) -> _Chunk:
        """Return all crops of a part, in their order; those of no named part are for training."""
        meant: tuple[Part | None, ...] = (None, part) if part == "train" else (part,)
        return _join(
            [chunk for p in meant for kept in (self._chunks, self._small) for chunk in kept.pop(p, [])]
        )


def _join(chunks: Sequence[_Chunk]) -> _Chunk:
    """Return the crops of several chunks as one."""
    if not chunks:
        return np.empty((0, 28, 28), np.uint8), np.empty(0, np.uint8), np.empty(0, np.uint64)
    images, labels, hashes = zip(*chunks, strict=True)
    return np.concatenate(images), np.concatenate(labels), np.concatenate(hashes)


def _choose(labels: NDArray[np.uint8], hashes: NDArray[np.uint64], fraction: float) -> NDArray[np.bool_]:
    """Choose a fraction of the crops of each digit by their hashes, so that equal crops are chosen together.

    At least one of several crops is chosen, and at least one is not, unless all or none are wanted.
    """
    chosen = np.zeros(len(labels), np.bool_)
    for digit in range(10):
        places = np.flatnonzero(labels == digit)
        distinct = np.unique(hashes[places])
        count = round(fraction * len(distinct))
        if 0 < fraction < 1 and len(distinct) > 1:
            count = min(max(count, 1), len(distinct) - 1)
        chosen[places] = np.isin(hashes[places], distinct[:count])
    return chosen


def _doubts(labels: NDArray[np.uint8], hashes: NDArray[np.uint64]) -> list[str]:
    """Return a remark about equal crops with different digits."""
    pairs = np.unique(np.stack([hashes, labels.astype(np.uint64)], 1), axis=0)
    contradicted = len(pairs) - len(np.unique(pairs[:, 0]))
    if not contradicted:
        return []
    return [f"{contradicted} crops occur with another digit, too; look at their labels."]


def _inverted(*parts: NDArray[np.uint8]) -> list[str]:
    """Return a remark about crops with a bright ground."""
    count = 0
    for images in parts:
        bright = (images[:, _CORNERS[0], _CORNERS[1]] >= _BRIGHT).all(1)
        count += int((images[bright].mean((1, 2)) >= _BRIGHT).sum()) if bright.any() else 0
    if not count:
        return []
    return [f"{count} crops look inverted: their ground is bright, and crops are bright on dark."]
