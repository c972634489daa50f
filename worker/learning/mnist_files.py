"""The four files of MNIST: finding, reading and fetching them."""

import gzip
import hashlib
import os
import urllib.request
from collections.abc import Sequence
from pathlib import Path

from torch import Tensor

from hxtorch_emulator.vision import load_torchvision
from worker.learning.errors import DatasetDamagedError, DatasetUnavailableError

PACKED_MD5 = {
    "train-images-idx3-ubyte": "f68b3c2dcbeaaa9fbdd348bbdeb94873",
    "train-labels-idx1-ubyte": "d53e105ee54ea40749a09fcbcd1e9432",
    "t10k-images-idx3-ubyte": "9fb629c4189551a2d022fa330f9573f3",
    "t10k-labels-idx1-ubyte": "ec29112dd5afa0611ce80d1b7f02629c",
}
"""The four files and the checksums of their downloads, as in `torchvision.datasets.MNIST.resources`.

Importing torchvision takes seconds, which a worker without MNIST need not spend.
"""

MIRRORS = ("https://ossci-datasets.s3.amazonaws.com/mnist/", "http://yann.lecun.com/exdb/mnist/")
"""`torchvision.datasets.MNIST.mirrors`."""

MNIST_SHA256 = "1e35582d42a90940c55b956deb61875c020b567ed20e3c5b174f52bf7809ed9b"
"""Fingerprint of the published MNIST, as `worker.learning.datasets` computes it."""

DOWNLOAD_TIMEOUT_S = 4.0


def find_raw_folder(folder: Path) -> Path:
    """Find the folder that holds the four files: `folder`, `folder/raw` or `folder/MNIST/raw`.

    Raises:
        DatasetUnavailableError: None of the three holds all four.
    """
    candidates = (folder / "MNIST" / "raw", folder / "raw", folder)
    for candidate in candidates:
        if all((candidate / name).is_file() for name in PACKED_MD5):
            return candidate
    raise DatasetUnavailableError(
        f"{folder} holds no MNIST; expected {', '.join(PACKED_MD5)}, unpacked, in it, in raw/ or MNIST/raw/. "
        "Give the folder torchvision.datasets.MNIST was given, or none to download MNIST."
    )


def read_images_and_labels(raw_folder: Path, part: str) -> tuple[Tensor, Tensor]:
    """Read one part ("train" or "t10k"): images `(n, 28, 28)` uint8 and labels `(n,)` int64, 0..9.

    Raises:
        DatasetDamagedError: The files do not hold that.
    """
    files = load_torchvision().datasets.mnist
    try:
        images: Tensor = files.read_image_file(str(raw_folder / f"{part}-images-idx3-ubyte"))
        labels: Tensor = files.read_label_file(str(raw_folder / f"{part}-labels-idx1-ubyte"))
    except (AssertionError, ValueError, KeyError, IndexError, TypeError, RuntimeError, OSError) as error:
        raise DatasetDamagedError(
            f"the {part} files in {raw_folder} cannot be read as MNIST ({error!r}); fetch them again."
        ) from error
    if images.shape[1:] != (28, 28) or len(images) != len(labels) or not len(labels):
        raise DatasetDamagedError(
            f"the {part} files in {raw_folder} hold images {tuple(images.shape)} and labels "
            f"{tuple(labels.shape)}; expected (n, 28, 28) and (n,). Fetch them again."
        )
    if int(labels.max()) > 9:
        raise DatasetDamagedError(
            f"the {part} labels in {raw_folder} reach {int(labels.max())}; expected 0..9. Fetch them again."
        )
    return images, labels


def download_mnist(folder: Path, mirrors: Sequence[str] = MIRRORS) -> Path:
    """Return the raw folder of MNIST under `folder`, fetching the files that are missing.

    Gives up after `DOWNLOAD_TIMEOUT_S` per connection and prints nothing, unlike torchvision's own download.

    Raises:
        DatasetUnavailableError: No mirror answers with the right files.
    """
    raw_folder = folder / "MNIST" / "raw"
    for name, md5 in PACKED_MD5.items():
        target = raw_folder / name
        if not target.is_file():
            packed = _fetch([f"{mirror}{name}.gz" for mirror in mirrors], md5)
            raw_folder.mkdir(parents=True, exist_ok=True)
            partial = target.with_name(f"{target.name}.{os.getpid()}.partial")
            partial.write_bytes(gzip.decompress(packed))
            partial.replace(target)
    return raw_folder


def _fetch(urls: list[str], md5: str) -> bytes:
    """Fetch the file with this checksum from the first address that has it."""
    problems = []
    for url in urls:
        try:
            with urllib.request.urlopen(url, timeout=DOWNLOAD_TIMEOUT_S) as response:  # noqa: S310 fixed mirrors, checked content
                content: bytes = response.read()
        except OSError as error:  # URLError and time-outs are OSErrors
            problems.append(f"{url}: {error}")
            continue
        if hashlib.md5(content, usedforsecurity=False).hexdigest() == md5:
            return content
        problems.append(f"{url}: the content has the wrong checksum")
    raise DatasetUnavailableError(
        f"MNIST could not be downloaded ({'; '.join(problems)}); "
        "connect to a network or give a folder that holds it."
    )
