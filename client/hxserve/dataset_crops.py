"""Crops of a data set, as the service sends them and as numpy stores them."""

import hashlib
import io
import json
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hxserve.errors import DownloadDamagedError


def npz_of(content: bytes, sha256: str) -> bytes:
    """Return crops as a .npz file with `x_train`, `y_train`, `x_test` and `y_test`, as Keras ships MNIST.

    Args:
        content: a safetensors file with images (n, 28, 28) and labels (n,), uint8, of both parts.
        sha256: of the crops, as the manifest states it.

    Raises:
        DownloadDamagedError: these are not the published crops.
    """
    arrays: dict[str, NDArray[np.uint8]] = {}
    digest = hashlib.sha256()
    try:
        length = int.from_bytes(content[:8], "little")
        header = json.loads(content[8 : 8 + length])
        for part in ("train", "test"):
            images = _tensor(content, length, header[f"{part}_images"])
            labels = _tensor(content, length, header[f"{part}_labels"])
            digest.update(images.tobytes())
            digest.update(labels.astype("<i8").tobytes())
            arrays |= {f"x_{part}": images, f"y_{part}": labels}
    except (ValueError, KeyError, TypeError):
        raise DownloadDamagedError from None
    if digest.hexdigest() != sha256:
        raise DownloadDamagedError
    file = io.BytesIO()
    np.savez_compressed(file, allow_pickle=False, **arrays)
    return file.getvalue()


def _tensor(content: bytes, length: int, facts: dict[str, Any]) -> NDArray[np.uint8]:
    """Return a tensor of bytes in a safetensors file; `length` is that of its header."""
    first, last = facts["data_offsets"]
    return np.frombuffer(content, np.uint8, last - first, 8 + length + first).reshape(facts["shape"])
