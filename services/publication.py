"""Publication of versions: whole or not at all, under a number that was never used before.

<folder>/<number>/...              the files of a version, among them its manifest
<folder>/.deleted/<number>         so that a number never means two things
"""

import errno
import secrets
import shutil
from collections.abc import Callable, Mapping
from itertools import count
from pathlib import Path
from typing import Final, TypeVar

from pydantic import BaseModel

from services.errors import StorageError
from services.files import storage_errors, sync_folder, write_durably
from services.names import OWNER_SEPARATOR, is_model_name

MANIFEST: Final = "manifest.json"
_DELETED: Final = ".deleted"

M = TypeVar("M", bound=BaseModel)


Content = Mapping[str, bytes | Path]
"""Files by name: their bytes, or a file on the same disk, which is there already and durable."""


class PublishedVersions:
    """Models or data sets: versions under names, in one folder that API and worker share."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    @property
    def folder(self) -> Path:
        """The folder, with the marks of what is shared."""
        return self._folder

    def names(self) -> list[str]:
        """Return the full names of all that have a version."""
        if not self._folder.is_dir():
            return []
        return sorted(
            path.name
            for path in self._folder.iterdir()
            if is_model_name(path.name) and self.versions(path.name)
        )

    def forget_owner(self, owner: str) -> None:
        """Delete everything of an owner who is gone, with all traces of it.

        Raises:
            StorageError: the folder cannot be written.
        """
        for path in self._folder.glob(f"{owner}{OWNER_SEPARATOR}*"):
            shutil.rmtree(path, ignore_errors=True)  # another process may delete it, too
            if path.exists():
                raise StorageError(f"{path} cannot be deleted; mend its permissions")

    def versions(self, name: str) -> list[str]:
        """Return version numbers, oldest first; none when there is nothing of this name."""
        return (
            [str(number) for number in sorted(numbers_in(self._folder / name))] if is_model_name(name) else []
        )


def publish_next(folder: Path, content: Content, manifest_of: Callable[[str], M]) -> M:
    """Publish the next version in a folder.

    Args:
        folder: of all versions; it is created where it is missing.
        content: the files of the version beside its manifest, by name.
        manifest_of: makes the manifest of a version number.

    Raises:
        StorageError: the folder cannot be written; nothing is published.
    """
    with storage_errors(folder):
        folder.mkdir(parents=True, exist_ok=True)
        first = max(numbers_in(folder) | numbers_in(folder / _DELETED), default=0) + 1
        return next(filter(None, (_publish_as(str(n), folder, content, manifest_of) for n in count(first))))


def _publish_as(version: str, folder: Path, content: Content, manifest_of: Callable[[str], M]) -> M | None:
    """Return the published manifest, or None when another process has just taken the number."""
    manifest = manifest_of(version)
    unpublished = folder / f".unpublished-{secrets.token_hex(4)}"
    unpublished.mkdir()
    try:
        for name, written in content.items():
            if isinstance(written, Path):
                (unpublished / name).hardlink_to(written)
            else:
                write_durably(unpublished / name, written)
        write_durably(unpublished / MANIFEST, manifest.model_dump_json(indent=2).encode())
        sync_folder(unpublished)
        unpublished.rename(folder / version)
    except OSError as error:
        if error.errno in {errno.ENOTEMPTY, errno.EEXIST}:
            return None
        raise
    finally:
        shutil.rmtree(unpublished, ignore_errors=True)
    sync_folder(folder)
    return manifest


def delete_published(folder: Path, version: str) -> None:
    """Delete a version; its number is not used again.

    Raises:
        StorageError: the folder cannot be written.
    """
    tombstone = folder / _DELETED / version
    with storage_errors(folder):
        tombstone.parent.mkdir(exist_ok=True)
        (folder / version).rename(tombstone)
        for path in tombstone.iterdir():
            path.unlink()


def numbers_in(folder: Path) -> set[int]:
    """Return the numbers of the versions in a folder."""
    if not folder.is_dir():
        return set()
    return {int(path.name) for path in folder.iterdir() if path.name.isdecimal()}
