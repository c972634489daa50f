"""scikit-learn's digits: crops that a network reads reliably, and MNIST's file format."""

import struct
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
import torch

from benchmarks.context import MeasurementError
from worker.learning.datasets import load_dataset

_REPEATS: Final = 5


@dataclass(frozen=True, slots=True)
class LabelledCrop:
    """784 bytes and the digit they show."""

    crop: bytes
    digit: int


def reliable_crops(read: Callable[[bytes], Sequence[int]], count: int = 64) -> list[LabelledCrop]:
    """Return test digits that `read` gets right five times out of five, spread over all digits.

    A wrong digit under load is then a mixed-up reply and no weakness of the network.

    Raises:
        MeasurementError: there are fewer than `count`.
    """
    dataset = load_dataset("digits")
    images = dataset.test_images.flatten(1).numpy()
    labels = dataset.test_labels.numpy()
    always_right = np.ones(len(labels), dtype=bool)
    for _ in range(_REPEATS):
        always_right &= np.asarray(read(images.tobytes())) == labels
    by_digit = [np.flatnonzero(always_right & (labels == digit)) for digit in range(10)]
    order = [group[place] for place in range(len(labels)) for group in by_digit if place < len(group)]
    if len(order) < count:
        raise MeasurementError(f"only {len(order)} of {len(labels)} test digits are read reliably")
    return [LabelledCrop(images[place].tobytes(), int(labels[place])) for place in order[:count]]


def write_as_mnist(folder: Path) -> Path:
    """Write the digits as the four files of MNIST where torchvision looks for them; return `folder`."""
    raw = folder / "MNIST" / "raw"
    raw.mkdir(parents=True)
    dataset = load_dataset("digits")
    for part, images, labels in (
        ("train", dataset.train_images, dataset.train_labels),
        ("t10k", dataset.test_images, dataset.test_labels),
    ):
        _write_idx(raw / f"{part}-images-idx3-ubyte", images)
        _write_idx(raw / f"{part}-labels-idx1-ubyte", labels)
    return folder


def _write_idx(path: Path, values: torch.Tensor) -> None:
    """Write bytes in the format IDX: zeros, type 8 (uint8), rank, sizes, values; big-endian. Source: the MNIST page."""
    head = struct.pack(f">BBBB{values.dim()}I", 0, 0, 8, values.dim(), *values.shape)
    path.write_bytes(head + values.numpy().astype(np.uint8).tobytes())
