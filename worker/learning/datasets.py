"""Data sets of handwritten digits: MNIST, or the small set inside scikit-learn where MNIST cannot be had."""

import hashlib
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Literal

import numpy as np
import torch
from torch import Tensor

from worker.learning.errors import DatasetUnavailableError
from worker.learning.mnist_files import MNIST_SHA256, download_mnist, find_raw_folder, read_images_and_labels

DatasetChoice = Literal["auto", "mnist", "digits"]
_TEST_DIGITS: Final = 360
HELD_OUT_PART: Final = 0.05
_HELD_OUT_SEED: Final = 20200613


@dataclass(frozen=True, slots=True)
class Dataset:
    """Labelled crops, split into a training and a test part.

    Attributes:
        name: "mnist", "digits", `owner~name@version`, or the names of a mixture joined by " + ".
        train_images: `(train, 28, 28)` uint8, 0..255, bright on dark.
        train_labels: `(train,)` int64, 0..9.
        test_images: `(test, 28, 28)` uint8, 0..255.
        test_labels: `(test,)` int64, 0..9.
        note: One sentence for people: which data these are and where they come from.
        sha256: Fingerprint of all images and labels, for provenance; of a mixture, of those of its parts and weights.
        parts: The data sets of a mixture, in the order of their crops; a stored data set is its only part; none for
            "mnist" and "digits".
    """

    name: str
    train_images: Tensor
    train_labels: Tensor
    test_images: Tensor
    test_labels: Tensor
    note: str
    sha256: str
    parts: tuple["Part", ...] = ()

    @property
    def all_parts(self) -> tuple["Part", ...]:
        """The parts; a data set without any is its own."""
        return self.parts or (
            Part(self.name, self.sha256, 1.0, len(self.train_labels), len(self.test_labels)),
        )


@dataclass(frozen=True, slots=True)
class Part:
    """A data set that `Dataset` holds, perhaps beside others.

    Attributes:
        name: "mnist", "digits", or `owner~name@version`.
        sha256: Fingerprint of its images and labels.
        weight: How often each training crop is shown in an epoch, > 0; below 1, which part of them is.
        train_crops: Their number.
        test_crops: Their number.
        is_stored: Whether it is one of the service's data sets, of which crops of every digit are held out.
    """

    name: str
    sha256: str
    weight: float
    train_crops: int
    test_crops: int
    is_stored: bool = False


def load_dataset(
    choice: DatasetChoice = "auto", folder: Path | None = None, download_to: Path | None = None
) -> Dataset:
    """Load the data set a deployment asks for.

    Args:
        choice: "mnist" insists on MNIST; "digits" takes the digits inside scikit-learn; "auto" takes MNIST
            from `folder` if one is given, else downloads it, else takes the digits and says so in `note`.
        folder: Where the four MNIST files lie: the folder itself, or one with `raw/` or `MNIST/raw/` below
            it.
        download_to: Where a downloaded MNIST is kept, and looked for first. None: nothing is downloaded.

    Raises:
        DatasetUnavailableError: A given folder holds no MNIST (never silently replaced), or "mnist" is asked
            for and cannot be had.
        DatasetDamagedError: The files are there and do not hold digit images and labels.
    """
    if choice == "digits":
        return load_digits("The 1,797 digits inside scikit-learn, scaled up to 28 x 28.")
    if folder is not None:
        return _load_mnist(find_raw_folder(folder), f"MNIST from {folder}.")
    try:
        return _download(download_to)
    except DatasetUnavailableError as reason:
        if choice == "mnist":
            raise
        return load_digits(
            "Not MNIST but the 1,797 digits inside scikit-learn, scaled up to 28 x 28: "
            f"accuracies do not compare. Reason: {reason}"
        )


def _download(folder: Path | None) -> Dataset:
    """Load MNIST from where downloads are kept, fetching it first where it is missing."""
    if folder is None:
        raise DatasetUnavailableError(
            "no place of MNIST was given; give a folder that holds it, or one to download it to."
        )
    return _load_mnist(download_mnist(folder), f"MNIST, kept in {folder}.")


def _load_mnist(raw_folder: Path, note: str) -> Dataset:
    """Read the four files; content that is not the published MNIST is used, and said aloud."""
    train_images, train_labels = read_images_and_labels(raw_folder, "train")
    test_images, test_labels = read_images_and_labels(raw_folder, "t10k")
    sha256 = _fingerprint(train_images, train_labels, test_images, test_labels)
    if sha256 != MNIST_SHA256:
        note += " Its content differs from the published MNIST: accuracies do not compare."
    return Dataset("mnist", train_images, train_labels, test_images, test_labels, note, sha256)


def load_digits(note: str) -> Dataset:
    """Load scikit-learn's 1,797 digits of 8 x 8 as 20 x 20 digits centred in 28 x 28, as MNIST's are.

    A fixed stratified fifth (360) is the test part. Writers are in both parts, unlike in MNIST.

    The digits lie in `digits.npz`, the test part last: importing scikit-learn takes a second.

    Source: sklearn.datasets.load_digits, split by sklearn.model_selection.train_test_split with random_state=0 (UCI
    ML, "Optical Recognition of Handwritten Digits", E. Alpaydin and C. Kaynak, CC BY 4.0, test part);
    yann.lecun.com/exdb/mnist for the 20 x 20 box in 28 x 28.
    """
    with np.load(Path(__file__).with_name("digits.npz")) as file:
        small = torch.from_numpy(file["images"]).to(torch.float32).unsqueeze(1) * (255 / 16)
        labels = torch.from_numpy(file["labels"]).to(torch.int64)
    large = torch.nn.functional.interpolate(small, size=(20, 20), mode="bilinear", align_corners=False)
    images = torch.nn.functional.pad(large, (4, 4, 4, 4)).squeeze(1).round().to(torch.uint8)
    parts = images[:-_TEST_DIGITS], labels[:-_TEST_DIGITS], images[-_TEST_DIGITS:], labels[-_TEST_DIGITS:]
    return Dataset("digits", *parts, note, _fingerprint(*parts))


def split_held_out(crops: int) -> tuple[Tensor, Tensor]:
    """Choose a twentieth of `crops` training crops, at least one, at random and always the same.

    The choice does not depend on a recipe's seed, so a training that continues a network holds out the crops that
    its first training held out.

    Returns:
        The places of the crops to learn from and of those held out, int64, ascending.
    """
    order = held_out_order(crops)
    count = max(1, round(crops * HELD_OUT_PART))
    return order[count:].sort().values, order[:count].sort().values


def held_out_order(crops: int) -> Tensor:
    """Return the order in which training crops are held out, the first ones first, `(crops,)` int64."""
    return torch.randperm(crops, generator=torch.Generator().manual_seed(_HELD_OUT_SEED))


def _fingerprint(*parts: Tensor) -> str:
    """Return the sha256 over the bytes of all tensors, in order."""
    digest = hashlib.sha256()
    for part in parts:
        digest.update(part.contiguous().numpy().data)
    return digest.hexdigest()
