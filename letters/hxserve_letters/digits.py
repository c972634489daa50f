"""The handwriting on the envelopes: digits that no recipe has learnt from."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Literal, Self

import numpy as np
from numpy.typing import NDArray

from hxserve_letters.errors import DigitsMissingError

_IMAGES: Final = "{}-images-idx3-ubyte"
_LABELS: Final = "{}-labels-idx1-ubyte"
_IDX_IMAGES, _IDX_LABELS = 0x803, 0x801

Crops = NDArray[np.uint8]

Purpose = Literal["report", "threshold", "desk"]
"""Letters to report on, to choose a threshold on, or to have keyed at the coding desk; no digit image serves two."""


@dataclass(frozen=True, slots=True)
class Digits:
    """Handwritten digits: `images` (n, 28, 28) uint8, bright on dark, and `labels` (n,) 0..9."""

    name: str
    images: Crops
    labels: NDArray[np.int64]

    def halves(self) -> tuple[Self, Self]:
        """Return two sets without a common digit image: for choosing a threshold, and for reporting its effect."""
        return (
            type(self)(self.name, self.images[1::2], self.labels[1::2]),
            type(self)(self.name, self.images[::2], self.labels[::2]),
        )

    def by_digit(self) -> list[Crops]:
        """Return the images of each digit 0..9.

        Raises:
            DigitsMissingError: one digit has none.
        """
        groups = [self.images[self.labels == digit] for digit in range(10)]
        for digit, group in enumerate(groups):
            if not len(group):
                raise DigitsMissingError(
                    f"the set {self.name} has no image of the digit {digit}; give another"
                )
        return groups


def load_digits(mnist: Path | None = None, *, training: bool = False) -> Digits:
    """Load the test digits of MNIST in a folder, else those of the set inside scikit-learn; or the training digits.

    Raises:
        DigitsMissingError: the folder holds no MNIST, or neither is here.
    """
    return _from_scikit_learn(training) if mnist is None else _from_mnist(mnist, training)


def digits_for(purpose: Purpose, mnist: Path | None = None) -> Digits:
    """Load the digits that letters of this purpose are written with.

    Letters for the desk are written with training digits: what is keyed there is learnt from, and no other letter may
    have a digit that was learnt.

    Raises:
        DigitsMissingError: as for `load_digits`.
    """
    if purpose == "desk":
        return load_digits(mnist, training=True)
    kept, reported = load_digits(mnist).halves()
    return reported if purpose == "report" else kept


def find_mnist(folders: Iterable[str | Path]) -> Path | None:
    """Return the first of the folders that holds MNIST, or None."""
    return next((Path(folder) for folder in folders if _files_in(Path(folder)) is not None), None)


def _files_in(folder: Path) -> Path | None:
    """Return the folder of the files themselves, or None if there is no MNIST."""
    for candidate in (folder / "MNIST" / "raw", folder / "raw", folder):
        if all((candidate / name.format("t10k")).is_file() for name in (_IMAGES, _LABELS)):
            return candidate
    return None


def _from_mnist(folder: Path, training: bool) -> Digits:
    part = "train" if training else "t10k"
    names = _IMAGES.format(part), _LABELS.format(part)
    files = _files_in(folder)
    if files is None or not all((files / name).is_file() for name in names):
        raise DigitsMissingError(
            f"{folder} holds no MNIST; expected {' and '.join(names)}, unpacked, in it, in raw/ or MNIST/raw/"
        )
    images = _read_idx(files / names[0], _IDX_IMAGES, 16).reshape(-1, 28, 28)
    labels = _read_idx(files / names[1], _IDX_LABELS, 8).astype(np.int64)
    if len(images) != len(labels) or labels.max(initial=0) > 9:
        raise DigitsMissingError(f"the files in {files} do not fit together; fetch MNIST again")
    return Digits("mnist", images, labels)


def _read_idx(path: Path, magic: int, header_bytes: int) -> NDArray[np.uint8]:
    """Read an IDX file of bytes. Source: yann.lecun.com/exdb/mnist, "file formats"."""
    content = path.read_bytes()
    item_bytes = 784 if header_bytes == 16 else 1
    count = int.from_bytes(content[4:8], "big")
    if int.from_bytes(content[:4], "big") != magic or len(content) != header_bytes + count * item_bytes:
        raise DigitsMissingError(f"{path} is not the file of MNIST it is named after; fetch it again")
    return np.frombuffer(content, np.uint8, offset=header_bytes)


def _from_scikit_learn(training: bool) -> Digits:
    """Load the 360 digits that a service without MNIST keeps for testing, or the others: 20 x 20 centred in 28 x 28."""
    try:
        import cv2  # noqa: PLC0415 an extra
        from sklearn.datasets import load_digits as load_bunch  # noqa: PLC0415 takes a second
        from sklearn.model_selection import train_test_split  # noqa: PLC0415 the same
    except ImportError:
        raise DigitsMissingError from None
    bunch: Any = load_bunch()
    # The split of worker/learning/datasets.py; a test holds the two together.
    parts = train_test_split(range(len(bunch.target)), test_size=360, stratify=bunch.target, random_state=0)
    chosen = parts[0 if training else 1]
    images = np.zeros((len(chosen), 28, 28), np.uint8)
    for place, source in enumerate(chosen):
        small = bunch.images[source].astype(np.float32) * (255 / 16)
        images[place, 4:24, 4:24] = np.rint(cv2.resize(small, (20, 20), interpolation=cv2.INTER_LINEAR))
    return Digits("digits", images, bunch.target[chosen].astype(np.int64))
