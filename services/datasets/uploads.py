"""Uploads: files that arrive in parts, kept until the job that imports or reads them has ended.

datasets/.uploads/<id>/upload.json    what was announced, and the job once the upload is complete
datasets/.uploads/<id>/<index>        what has arrived of a file
"""

import fcntl
import hashlib
import os
import re
import secrets
import shutil
import time
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO, Annotated, Final, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from services.datasets.paths import MOST_NAME, check_names
from services.errors import ConflictError, InvalidInputError, NotFoundError, QueueFullError
from services.files import storage_errors, sync_folder, write_durably
from services.names import ModelName
from services.users.authentication import User

FOLDER: Final = ".uploads"
KEEP_S: Final = 86_400.0
"""An upload to which nothing was added for so long is deleted."""
_MOST_OPEN: Final = 20
SCRATCH: Final = ".scratch"
_RECORD: Final = "upload.json"
_LEAST_AGE_S: Final = 120.0
"""An upload is marked with its job a moment before or after that is recorded."""
_ID: Final = re.compile(r"[0-9a-f]{32}")


class DeclaredFile(BaseModel):
    """A file to be uploaded; its name may have folders, `train/7/one.png`."""

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)

    name: Annotated[str, Field(min_length=1, max_length=MOST_NAME)]
    bytes: Annotated[int, Field(ge=1, le=2**33)]
    """At most 8 GiB."""


class ImportOptions(BaseModel):
    """How a data set is made of files."""

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)

    test_fraction: Annotated[float, Field(ge=0, le=1)] = 0.2
    """Part of each digit that becomes the test part where the files name none."""
    centre: bool = False
    """Scale and centre crops of 28 x 28 as MNIST's digits are; larger pictures always are."""


class DatasetUpload(ImportOptions):
    """An upload as it was announced; `job` is empty until it is complete.

    `dataset` is empty where the files are to be read by a batch job.
    """

    id: str
    dataset: ModelName | Literal[""]
    user: str
    files: list[DeclaredFile]
    created_at: float
    job: str = ""

    @property
    def bytes(self) -> int:
        """The size of all files together."""
        return sum(file.bytes for file in self.files)


class DatasetUploads:
    """The uploads of all users, in a folder that API and worker share."""

    def __init__(self, datasets: Path) -> None:
        self._folder = datasets / FOLDER

    def begun(self, dataset: str, user: User, key: str) -> DatasetUpload | None:
        """Return the upload of a data set that a user began with an Idempotency-Key, if it is still kept."""
        return self._read(_id_of(dataset, user, key))

    def begin(
        self,
        dataset: str,
        user: User,
        files: Sequence[DeclaredFile],
        options: ImportOptions,
        key: str | None = None,
    ) -> DatasetUpload:
        """Announce an upload; it is durable when this returns.

        `key` is an Idempotency-Key, by which `begun` returns the upload again.

        Raises:
            InvalidInputError: there are no files or too many, or a name is used twice or leaves its folder.
            QueueFullError: the user has too many uploads that are not complete.
            StorageError: the folder cannot be written.
        """
        check_names([file.name for file in files])
        if (
            len([upload for upload in self._all() if upload.user == user.name and not upload.job])
            >= _MOST_OPEN
        ):
            raise QueueFullError(
                f"you have {_MOST_OPEN} uploads that are not complete; complete or delete one"
            )
        upload = DatasetUpload(
            **options.model_dump(),
            id=_id_of(dataset, user, key) if key else secrets.token_hex(16),
            dataset=dataset,
            user=user.name,
            files=list(files),
            created_at=time.time(),
        )
        folder = self._folder / upload.id
        with storage_errors(folder):
            # The same request may have come twice at the same time.
            folder.mkdir(parents=True, exist_ok=key is not None)
            for index in range(len(files)):
                (folder / str(index)).touch()
            self._write(upload)
            sync_folder(self._folder)
        return upload

    def get(self, upload_id: str, user: User) -> DatasetUpload:
        """Return an upload; one that the user may not see counts as missing.

        Raises:
            NotFoundError: there is none of this id for the user.
        """
        upload = self._read(upload_id)
        if upload is None or not user.may_see(upload.user):
            raise NotFoundError(f"there is no upload {upload_id!r}; it may have expired: begin another one")
        return upload

    def of_job(self, upload_id: str) -> DatasetUpload:
        """Return the upload that a job imports.

        Raises:
            InvalidInputError: it is gone.
        """
        upload = self._read(upload_id)
        if upload is None:
            raise InvalidInputError("the uploaded files are gone; upload them again")
        return upload

    def received(self, upload: DatasetUpload) -> list[int]:
        """Return the number of bytes that have arrived of each file."""
        if upload.job:
            return [file.bytes for file in upload.files]
        return [_size_of(self.path(upload.id, index)) for index in range(len(upload.files))]

    def path(self, upload_id: str, index: int) -> Path:
        """Return the path of a file's content."""
        return self._folder / upload_id / str(index)

    def scratch(self, upload_id: str, name: str) -> Path:
        """Return a path that is deleted with the upload."""
        return self._folder / upload_id / f"{name}{SCRATCH}"

    @contextmanager
    def receiving(self, upload: DatasetUpload, index: int, start: int) -> Iterator[IO[bytes]]:
        """Open a file at its end, where the part that begins at byte `start` is to be written.

        Raises:
            NotFoundError: there is no such file.
            ConflictError: the upload is complete, the file has another length, or another part is being written.
            StorageError: the file cannot be written; what was written before stays.
        """
        if not 0 <= index < len(upload.files):
            raise NotFoundError(f"the upload has no file {index}; it has {len(upload.files)}, from 0")
        if upload.job:
            raise ConflictError(f"the upload is complete; job {upload.job} imports it")
        path, name = self.path(upload.id, index), upload.files[index].name
        with storage_errors(path):
            opened = path.open("r+b")
        with opened as file:
            try:
                fcntl.flock(
                    file, fcntl.LOCK_EX | fcntl.LOCK_NB
                )  # until the file is closed, or this process ends
            except BlockingIOError:
                raise ConflictError(
                    f"another part of {name!r} is being written; ask what was received, then go on from there"
                ) from None
            received = file.seek(0, os.SEEK_END)
            if received != start:
                raise ConflictError(
                    f"{received} bytes of {name!r} were received, and this part begins at byte {start}; "
                    f"go on from byte {received}"
                )
            yield file

    def mark_complete(self, upload: DatasetUpload, job_id: str) -> None:
        """Record the job that imports an upload.

        Raises:
            StorageError: the folder cannot be written.
        """
        with storage_errors(self._folder):
            self._write(upload.model_copy(update={"job": job_id}))

    def check_whole(self, upload: DatasetUpload) -> None:
        """Raise ConflictError unless all of each file has arrived."""
        for file, received in zip(upload.files, self.received(upload), strict=True):
            if received != file.bytes:
                raise ConflictError(
                    f"{received} of {file.bytes} bytes of {file.name!r} were received; send the rest first"
                )

    def delete(self, upload: DatasetUpload) -> None:
        """Delete an upload.

        Raises:
            ConflictError: it is complete.
        """
        if upload.job:
            raise ConflictError(f"the upload is complete; cancel job {upload.job} instead")
        self._remove(upload.id)

    def forget(self, user: str) -> None:
        """Delete all uploads of a user."""
        for upload in self._all():
            if upload.user == user:
                self._remove(upload.id)

    def bytes_of(self, user: str) -> int:
        """Return the size of a user's uploads that are still kept, as announced."""
        return sum(
            upload.bytes for upload in self._all() if upload.user == user and self.path(upload.id, 0).exists()
        )

    def discard_ended(self, unfinished: Callable[[], Collection[str]]) -> None:
        """Delete the files of uploads whose job has ended, and whatever was left alone for a day.

        `unfinished` returns the ids of unfinished jobs.
        """
        now = time.time()
        old = [
            (upload, touched)
            for upload in self._all()
            if (touched := self._touched_at(upload.id)) < now - _LEAST_AGE_S
        ]
        needed = set(unfinished()) if any(upload.job for upload, _ in old) else set()
        for upload, touched in old:
            if upload.job in needed:
                continue
            if touched < now - KEEP_S:
                self._remove(upload.id)
            elif upload.job:  # what is left answers a repeated request with the same job
                for path in (self._folder / upload.id).iterdir():
                    if path.name != _RECORD:
                        path.unlink(missing_ok=True)

    def _all(self) -> list[DatasetUpload]:
        if not self._folder.is_dir():
            return []
        return [found for path in self._folder.iterdir() if (found := self._read(path.name)) is not None]

    def _read(self, upload_id: str) -> DatasetUpload | None:
        if _ID.fullmatch(upload_id) is None:
            return None
        try:
            content = (self._folder / upload_id / _RECORD).read_bytes()
            return DatasetUpload.model_validate_json(content)
        except (OSError, ValidationError):
            return None

    def _write(self, upload: DatasetUpload) -> None:
        write_durably(self._folder / upload.id / _RECORD, upload.model_dump_json().encode())

    def _remove(self, upload_id: str) -> None:
        # The record goes first: what is half deleted is no upload any more.
        (self._folder / upload_id / _RECORD).unlink(missing_ok=True)
        shutil.rmtree(self._folder / upload_id, ignore_errors=True)

    def _touched_at(self, upload_id: str) -> float:
        """Return the time of the last change in Unix seconds; the distant future if it was just deleted."""
        with suppress(OSError):
            return max(path.stat().st_mtime for path in (self._folder / upload_id).iterdir())
        return float("inf")


def _id_of(dataset: str, user: User, key: str) -> str:
    return hashlib.sha256(f"{user.name}\n{dataset}\n{key}".encode()).hexdigest()[:32]


def _size_of(path: Path) -> int:
    """Return the size of a file; 0 if it is not there."""
    with suppress(OSError):
        return path.stat().st_size
    return 0
