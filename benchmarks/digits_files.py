"""scikit-learn's digits in MNIST's file format, for pipelines that know nothing else."""

import struct
from pathlib import Path

import numpy as np
import torch

from worker.learning.datasets import load_dataset


def write_digits(folder: Path) -> Path:
    """Writes the four files below `folder` as torchvision looks for them, and gives `folder`."""
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
    """Source: the IDX format on the MNIST page: zeros, type 8 (uint8), rank, sizes, values; big-endian."""
    head = struct.pack(f">BBBB{values.dim()}I", 0, 0, 8, values.dim(), *values.shape)
    path.write_bytes(head + values.numpy().astype(np.uint8).tobytes())
