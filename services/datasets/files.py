"""Data sets as files, published whole or not at all.

datasets/<name>/<version>/crops.safetensors    images and labels of both parts
datasets/<name>/<version>/manifest.json        their description
datasets/<name>/shared/all                     where it is shared: services/sharing.py
datasets/<name>/.deleted/<version>             so that a number never means two things
"""

import hashlib
import json
import secrets
import struct
import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray
from pydantic import ValidationError
from safetensors import SafetensorError
from safetensors.numpy import load

from services.datasets.manifest import DatasetCounts, DatasetManifest, DatasetOrigin
from services.errors import DatasetDamagedError, DatasetNotFoundError, InvalidInputError
from services.explanations import explain
from services.files import replacement, storage_errors
from services.names import owner_of
from services.publication import MANIFEST, PublishedVersions, delete_published, publish_next

CROPS: Final = "crops.safetensors"
_TENSORS: Final = ("train_images", "train_labels", "test_images", "test_labels")


@dataclass(frozen=True, slots=True)
class LabelledCrops:
    """Crops, `(n, 28, 28)` uint8, bright on dark, and their digits, `(n,)` uint8, 0..9."""

    images: NDArray[np.uint8]
    labels: NDArray[np.uint8]

    def __post_init__(self) -> None:
        expected = (len(self.labels), 28, 28)
        if self.images.shape != expected or self.images.dtype != np.uint8 or self.labels.dtype != np.uint8:
            raise InvalidInputError(
                f"expected uint8 crops of shape {expected} for {len(self.labels)} uint8 labels, got "
                f"{self.images.dtype} of shape {self.images.shape} and {self.labels.dtype}"
            )
        if len(self.labels) and self.labels.max() > 9:
            raise InvalidInputError(f"expected labels 0..9, got {self.labels.max()}")

    def __len__(self) -> int:
        return len(self.labels)

    @property
    def counts(self) -> list[int]:
        """Number of crops of each digit."""
        return [int(count) for count in np.bincount(self.labels, minlength=10)]


@dataclass(frozen=True, slots=True)
class Prepared:
    """The file of a version's crops before its publication, and what the manifest says of it."""

    path: Path
    sha256: str
    counts: DatasetCounts
    bytes: int


def prepare(path: Path, train: LabelledCrops, test: LabelledCrops) -> Prepared:
    """Write the crops of a version; they are on the disk when this returns.

    The file is written without a second copy in memory, and this may run in a thread beside other work.

    Raises:
        StorageError: the file cannot be written.
    """
    arrays = (train.images, train.labels, test.images, test.labels)
    header, end = {}, 0
    for name, array in zip(_TENSORS, arrays, strict=True):
        header[name] = {
            "dtype": "U8",
            "shape": list(array.shape),
            "data_offsets": [end, end := end + array.nbytes],
        }
    packed = json.dumps(header).encode()
    packed += b" " * (-len(packed) % 8)
    with storage_errors(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        with replacement(path) as file:
            file.write(struct.pack("<Q", len(packed)) + packed)
            for array in arrays:
                file.write(np.ascontiguousarray(array).data)
    counts = DatasetCounts(train=train.counts, test=test.counts)
    return Prepared(path, sha256_of(train, test), counts, 8 + len(packed) + end)


class DatasetStore(PublishedVersions):
    """Data sets and their versions."""

    def manifest(self, name: str, version: str) -> DatasetManifest:
        """Return the manifest of a version.

        Raises:
            DatasetNotFoundError: there is no such version.
            DatasetDamagedError: the file is not a manifest of ours.
        """
        try:
            return DatasetManifest.model_validate_json(
                (self._folder / name / version / MANIFEST).read_bytes()
            )
        except FileNotFoundError:
            raise DatasetNotFoundError(f"data set {name!r} has no version {version!r}") from None
        except (OSError, ValidationError) as error:
            reason = (
                error.strerror
                if isinstance(error, OSError)
                else f"not one of hxserve: {explain(error, DatasetManifest)}"
            )
            raise _damaged(name, version, f"its manifest cannot be read ({reason})") from None

    def crops_path(self, name: str, version: str) -> Path:
        """Return the path of a version's crops."""
        return self._folder / name / version / CROPS

    def crops(self, name: str, version: str) -> tuple[LabelledCrops, LabelledCrops]:
        """Return training and test part of a version, checked against the manifest.

        Raises:
            DatasetNotFoundError: there is no such version.
            DatasetDamagedError: the crops are not those that were published.
        """
        manifest = self.manifest(name, version)
        try:
            arrays = load(self.crops_path(name, version).read_bytes())
            images, labels, test_images, test_labels = (arrays[tensor] for tensor in _TENSORS)
            parts = LabelledCrops(images, labels), LabelledCrops(test_images, test_labels)
        except (OSError, SafetensorError, KeyError, InvalidInputError) as error:
            raise _damaged(name, version, f"its crops cannot be read ({error})") from None
        if sha256_of(*parts) != manifest.sha256:
            raise _damaged(name, version, "its crops are not those that the manifest names")
        return parts

    def publish(self, origin: DatasetOrigin, train: LabelledCrops, test: LabelledCrops) -> DatasetManifest:
        """Publish a new version; a job publishes once, and content that the newest version has makes no new one.

        Raises:
            StorageError: the folder cannot be written; nothing is published.
        """
        unpublished = self._folder / f".{secrets.token_hex(8)}"
        try:
            return self.publish_prepared(origin, prepare(unpublished, train, test))
        finally:
            with suppress(OSError):
                unpublished.unlink()

    def publish_prepared(self, origin: DatasetOrigin, prepared: Prepared) -> DatasetManifest:
        """Publish crops that are on the disk already; see `publish`.

        Raises:
            StorageError: the folder cannot be written; nothing is published.
        """
        content = prepared.sha256, prepared.counts  # the digest alone does not tell where the parts meet
        readable = list(self._readable(origin.name))
        for published in readable:
            is_same = published == readable[0] and (published.sha256, published.counts) == content
            if is_same or (origin.job and published.job == origin.job):
                return published
        return publish_next(
            self._folder / origin.name,
            {CROPS: prepared.path},
            lambda version: DatasetManifest(
                **origin.model_dump(),
                version=version,
                created_at=time.time(),
                sha256=prepared.sha256,
                counts=prepared.counts,
                bytes=prepared.bytes,
            ),
        )

    def bytes_of(self, owner: str | None) -> int:
        """Return the size of all crops of an owner; None for the service's."""
        return sum(
            _size_of(self.crops_path(name, version))
            for name in self.names()
            if owner_of(name) == owner
            for version in self.versions(name)
        )

    def delete_version(self, name: str, version: str) -> None:
        """Delete a version, whole or damaged; its number is not used again.

        Raises:
            DatasetNotFoundError: there is no such version.
            StorageError: the folder cannot be written.
        """
        if version not in self.versions(name):
            raise DatasetNotFoundError(f"data set {name!r} has no version {version!r}")
        delete_published(self._folder / name, version)

    def _readable(self, name: str) -> Iterator[DatasetManifest]:
        """Return the manifests of a data set, newest first, without damaged versions."""
        for version in reversed(self.versions(name)):
            with suppress(DatasetDamagedError, DatasetNotFoundError):
                yield self.manifest(name, version)


def sha256_of(train: LabelledCrops, test: LabelledCrops) -> str:
    """Return the fingerprint of a data set: over images and labels of both parts, labels as int64."""
    digest = hashlib.sha256()
    for part in (train, test):
        digest.update(np.ascontiguousarray(part.images).data)
        digest.update(part.labels.astype("<i8").data)
    return digest.hexdigest()


def _size_of(path: Path) -> int:
    """Return the size of a file; 0 if it is not there."""
    with suppress(OSError):
        return path.stat().st_size
    return 0


def _damaged(name: str, version: str, reason: str) -> DatasetDamagedError:
    return DatasetDamagedError(
        f"the data set {name}@{version} is damaged: {reason}; restore the version's folder from a backup "
        "or send it again"
    )
