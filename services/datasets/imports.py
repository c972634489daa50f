"""Uploads of data sets as users see them, within their quotas, and the jobs that import them."""

from collections.abc import Sequence
from typing import Final

from services.datasets.files import DatasetStore
from services.datasets.registry import DatasetRegistry
from services.datasets.uploads import DatasetUpload, DatasetUploads, DeclaredFile, ImportOptions
from services.disk import Disk
from services.errors import IdempotencyConflictError, InvalidInputError, QuotaExceededError
from services.jobs.params import ImportParams
from services.jobs.submission import Submissions, check_key
from services.names import NAME_WORDS, is_model_name
from services.users.authentication import User
from services.users.quotas import quota_exceeded

_LOOK_AGAIN_S: Final = 60.0


class Imports:
    """Begins uploads of data sets, and submits their imports once they are complete."""

    def __init__(
        self,
        datasets: DatasetStore,
        registry: DatasetRegistry,
        uploads: DatasetUploads,
        submissions: Submissions,
        disk: Disk,
    ) -> None:
        self._datasets = datasets
        self._registry = registry
        self._uploads = uploads
        self._submissions = submissions
        self._disk = disk

    def used_bytes(self, user: User) -> int:
        """Return the part of the quota `dataset_bytes` in use; an admin's data sets are the service's."""
        owner = None if user.is_admin else user.name
        return self._datasets.bytes_of(owner) + self._uploads.bytes_of(user.name)

    def begin(
        self,
        name: str,
        files: Sequence[DeclaredFile],
        options: ImportOptions,
        user: User,
        key: str | None = None,
    ) -> DatasetUpload:
        """Begin the upload of a version of a data set; it is durable when this returns.

        The same request with the same `key`, an Idempotency-Key, returns the upload that it began.

        Raises:
            InvalidInputError: the name, the files or the key cannot be so.
            IdempotencyConflictError: the key was used for other files or options.
            ForbiddenError: it would be another's data set.
            QuotaExceededError: the user's data sets and uploads would be too large.
            QueueFullError: the user has too many uploads that are not complete.
            DiskLowError: there is no room for the files.
            StorageError: the folder cannot be written.
        """
        if not is_model_name(name):
            raise InvalidInputError(f"{name!r} cannot be the name of a data set; use {NAME_WORDS}")
        return self._begin(self._registry.to_create(user, name), files, options, user, key)

    def begin_files(self, files: Sequence[DeclaredFile], user: User, key: str | None = None) -> DatasetUpload:
        """Begin the upload of files for a batch job; see `begin`."""
        return self._begin("", files, ImportOptions(), user, key)

    def _begin(
        self,
        dataset: str,
        files: Sequence[DeclaredFile],
        options: ImportOptions,
        user: User,
        key: str | None,
    ) -> DatasetUpload:
        if key:
            check_key(key)
            if begun := self._uploads.begun(dataset, user, key):
                if (begun.files, begun.test_fraction, begun.centre) != (
                    list(files),
                    options.test_fraction,
                    options.centre,
                ):
                    raise IdempotencyConflictError
                return begun
        size = sum(file.bytes for file in files)
        self._check_quota(user, self.used_bytes(user), size)
        self._disk.check(size)
        upload = self._uploads.begin(dataset, user, files, options, key)
        try:  # again after the announcement, so that two at once cannot pass
            self._check_quota(user, self.used_bytes(user) - size, size)
        except QuotaExceededError:
            self._uploads.delete(upload)
            raise
        return upload

    @staticmethod
    def _check_quota(user: User, used: int, more: int) -> None:
        limit = user.quotas.dataset_bytes
        if limit is not None and used + more > limit:
            raise quota_exceeded("dataset_bytes", limit, used, retry_after_s=_LOOK_AGAIN_S)

    def complete(self, upload: DatasetUpload, user: User, key: str | None = None, content: str = "") -> str:
        """Submit the import of an upload; return the id of its job, which is the same if this is repeated.

        An upload whose Idempotency-Key was used before for the same `content` is deleted.

        Raises:
            ConflictError: parts are missing.
            IdempotencyConflictError: the key was used for another request.
            QueueFullError: too many jobs are unfinished.
            QuotaExceededError: the user's are too many, or have used the chip too long today.
            StorageError: the folder cannot be written.
        """
        if upload.job:
            return upload.job
        self._uploads.check_whole(upload)
        limit = user.quotas.dataset_bytes
        params = ImportParams(
            upload=upload.id,
            dataset=upload.dataset,
            bytes=upload.bytes,
            test_fraction=upload.test_fraction,
            centre=upload.centre,
            most_bytes=None if limit is None else max(0, limit - self.used_bytes(user) + upload.bytes),
        )
        accepted = self._submissions.submit_import(
            params, user, key or f"upload {upload.id}", (content or upload.id).encode()
        )
        if key and accepted.repeated:
            self._uploads.delete(upload)
        else:
            self._uploads.mark_complete(upload, accepted.id)
        return accepted.id
