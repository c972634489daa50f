"""Uploaded files of versions, from the acceptance of their jobs until these have ended."""

import hashlib
import time
from collections.abc import Callable, Collection
from contextlib import suppress
from pathlib import Path
from typing import Final

from services.errors import InvalidInputError
from services.files import storage_errors, write_durably

SUFFIX: Final = ".upload"
_LEAST_AGE_S: Final = 120.0
"""A file is written before its job is recorded."""


class Uploads:
    """The files of uploads, one for each job, in the folder of unfinished work that API and worker share."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def keep(self, job_id: str, content: bytes) -> None:
        """Write the file of a job; it is on the disk when this returns.

        Raises:
            StorageError: it cannot be written.
        """
        path = self._path(job_id)
        with storage_errors(path):
            self._folder.mkdir(parents=True, exist_ok=True)
            write_durably(path, content)

    def read(self, job_id: str, sha256: str) -> bytes:
        """Return the file of a job.

        Raises:
            InvalidInputError: it is gone or damaged.
            StorageError: it cannot be read.
        """
        path = self._path(job_id)
        with storage_errors(path):
            content = path.read_bytes() if path.exists() else b""
        if hashlib.sha256(content).hexdigest() != sha256:
            raise InvalidInputError(
                f"the uploaded file is {'damaged' if content else 'gone'}; upload the version again"
            )
        return content

    def discard(self, job_id: str) -> None:
        """Delete the file of a job that was not accepted."""
        self._path(job_id).unlink(missing_ok=True)

    def discard_ended(self, unfinished: Callable[[], Collection[str]]) -> None:
        """Delete the files of jobs that have ended; `unfinished` returns the ids of the others."""
        until = time.time() - _LEAST_AGE_S
        old = {path.stem: path for path in self._folder.glob(f"*{SUFFIX}") if _written_at(path) < until}
        needed = set(unfinished()) if old else set()
        for path in (path for job_id, path in old.items() if job_id not in needed):
            with storage_errors(path):
                path.unlink(missing_ok=True)

    def _path(self, job_id: str) -> Path:
        return self._folder / f"{job_id}{SUFFIX}"


def _written_at(path: Path) -> float:
    """Return the time of a file in Unix seconds; the distant future if it was just deleted."""
    with suppress(FileNotFoundError):
        return path.stat().st_mtime
    return float("inf")
