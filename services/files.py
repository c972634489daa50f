"""Durable writes: after a crash a file has its old content or its new content, never a part of it."""

import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from io import BufferedRandom
from pathlib import Path

from services.errors import StorageError


@contextmanager
def replacement(path: Path, mode: int = 0o644) -> Iterator[BufferedRandom]:
    """Open a file for reading and writing that replaces `path`, on the disk, when the context ends without an error.

    Raises:
        OSError: the file cannot be written; the old content stays.
    """
    unfinished = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
    try:
        descriptor = os.open(unfinished, os.O_RDWR | os.O_CREAT | os.O_EXCL, mode)
        with os.fdopen(descriptor, "w+b") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        unfinished.replace(path)
    finally:
        unfinished.unlink(missing_ok=True)
    sync_folder(path.parent)


def write_durably(path: Path, content: bytes, mode: int = 0o644) -> None:
    """Replace the content of a file; it is on the disk when this returns.

    Raises:
        OSError: the file cannot be written; the old content stays.
    """
    with replacement(path, mode) as file:
        file.write(content)


def sync_folder(folder: Path) -> None:
    """Make renames in a folder durable."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


@contextmanager
def storage_errors(path: Path) -> Iterator[None]:
    """Raise `StorageError` where the file system refuses an operation on `path`."""
    try:
        yield
    except OSError as error:
        raise StorageError(
            f"{path} cannot be written ({os.strerror(error.errno or 0)}); free disk space or mend permissions"
        ) from error
