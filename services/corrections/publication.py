"""Publication of corrections in a version of a data set."""

import fcntl
import os
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from typing import Final

from services.corrections.merging import merge, no_crops
from services.corrections.record import Correction
from services.datasets.files import DatasetStore, sha256_of
from services.datasets.imports import Imports
from services.datasets.manifest import DatasetManifest, DatasetOrigin, DatasetSource
from services.datasets.registry import DatasetRegistry
from services.disk import Disk
from services.errors import ConflictError, InvalidInputError
from services.files import storage_errors
from services.names import NAME_WORDS, is_model_name
from services.users.authentication import User
from services.users.quotas import quota_exceeded

_LOOK_EVERY_S: Final = 0.02
_LOOK_AGAIN_S: Final = 60.0

RunAside = Callable[[Callable[[], DatasetManifest]], DatasetManifest]
"""Runs a function where it holds up no request, and returns its value."""


class Publication:
    """Publishes versions of data sets with corrections, whole or not at all."""

    def __init__(
        self,
        datasets: DatasetStore,
        names: DatasetRegistry,
        imports: Imports,
        disk: Disk,
        run_aside: RunAside = lambda function: function(),
    ) -> None:
        self._datasets = datasets
        self._names = names
        self._imports = imports
        self._disk = disk
        self._run_aside = run_aside

    def name_of(self, user: User, dataset: str) -> str:
        """Return the full name of the data set that a user means to add a version to.

        Raises:
            ForbiddenError: it would be another's.
            InvalidInputError: the name cannot be given.
        """
        if not is_model_name(dataset):
            raise InvalidInputError(f"{dataset!r} cannot be the name of a data set; use {NAME_WORDS}")
        return self._names.to_create(user, dataset)

    def publish(self, user: User, name: str, corrections: Sequence[Correction]) -> DatasetManifest:
        """Publish all that the newest version has, and corrections; what it has already makes no new version.

        Args:
            user: whose corrections they are.
            name: the full name of the data set.
            corrections: oldest word first.

        Raises:
            ConflictError: the data set does not exist, and no correction names a digit.
            QuotaExceededError: the user's data sets would be too large.
            DiskLowError: there is no room for another version.
            StorageError: the folder cannot be written.
        """
        if not self._datasets.versions(name) and all(c.digit is None for c in corrections):
            raise ConflictError("no open correction names a digit; correct or confirm some answers first")
        return self._run_aside(partial(self._publish, user, name, corrections))

    def _publish(self, user: User, name: str, corrections: Sequence[Correction]) -> DatasetManifest:
        versions = self._datasets.versions(name)
        train, test = self._datasets.crops(name, versions[-1]) if versions else (no_crops(), no_crops())
        merged = merge(train, test, corrections)
        if sha256_of(merged.train, merged.test) != sha256_of(train, test):
            self._check_room(user, merged.train.images.nbytes + merged.test.images.nbytes)
        origin = DatasetOrigin(
            name=name, user=user.name, source=_source_of(corrections), remarks=merged.remarks
        )
        return self._datasets.publish(origin, merged.train, merged.test)

    def _check_room(self, user: User, size_bytes: int) -> None:
        self._disk.check(size_bytes)
        limit, used = user.quotas.dataset_bytes, self._imports.used_bytes(user)
        if limit is not None and used + size_bytes > limit:
            raise quota_exceeded("dataset_bytes", limit, used, retry_after_s=_LOOK_AGAIN_S)

    @contextmanager
    def alone(self) -> Iterator[None]:
        """Let one closing at a time go on, of all API processes; the lock ends with the process that holds it."""
        path = self._datasets.folder / ".closing"
        with storage_errors(path):
            path.parent.mkdir(parents=True, exist_ok=True)
            descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
        try:
            while True:
                try:
                    fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
                    break
                except BlockingIOError:
                    time.sleep(_LOOK_EVERY_S)
            yield
        finally:
            os.close(descriptor)


def oldest_first(corrections: Iterable[Correction]) -> list[Correction]:
    """Return corrections by the time of their last word."""
    return sorted(corrections, key=lambda c: (c.at, c.id))


def _source_of(corrections: Sequence[Correction]) -> DatasetSource:
    """Return the source of a version: that of its new crops if all have the same, else corrections."""
    if corrections and all(c.source == "desk" for c in corrections):
        return "desk"
    return "teaching" if corrections and all(c.source == "teaching" for c in corrections) else "corrections"
