"""Sharing of models and data sets with all users: marks in their folders.

<name>/shared/all          every version, also those to come
<name>/shared/<version>    this version
"""

import os
from pathlib import Path
from typing import Final

from services.files import storage_errors, write_durably

_ALL: Final = "all"


class Shares:
    """The marks of everything in one folder, models or data sets."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._root = str(folder)

    def has(self, name: str, version: str) -> bool:
        """Return whether a version is shared; asked for every request for another user's model, so without `Path`."""
        marks = f"{self._root}/{name}/shared"
        return os.path.exists(f"{marks}/{_ALL}") or os.path.exists(f"{marks}/{version}")  # noqa: PTH110 see above

    def has_all(self, name: str) -> bool:
        """Return whether all versions are shared."""
        return self._mark(name, _ALL).exists()

    def versions(self, name: str) -> list[str]:
        """Return the versions that are shared one by one, oldest first."""
        folder = self._folder / name / "shared"
        marked = [path.name for path in folder.iterdir()] if folder.is_dir() else []
        return sorted((mark for mark in marked if mark.isdecimal()), key=int)

    def add(self, name: str, version: str | None) -> None:
        """Share a version, or all.

        Raises:
            StorageError: the folder cannot be written.
        """
        mark = self._mark(name, version or _ALL)
        with storage_errors(mark):
            mark.parent.mkdir(exist_ok=True)
            write_durably(mark, b"")

    def remove(self, name: str, version: str | None) -> None:
        """Stop sharing a version, or everything.

        Raises:
            StorageError: the folder cannot be written.
        """
        marks = [version] if version else [_ALL, *self.versions(name)]
        for mark in (self._mark(name, mark) for mark in marks):
            with storage_errors(mark):
                mark.unlink(missing_ok=True)

    def _mark(self, name: str, mark: str) -> Path:
        return self._folder / name / "shared" / mark
