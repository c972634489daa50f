"""Files and folders of a data set as an upload sends them: a folder becomes a zip that is never written to the disk."""

import hashlib
import zipfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from hxserve.errors import InvalidDatasetError

_PIECE_BYTES: Final = 2**20
_SAME_DATE: Final = (1980, 1, 1, 0, 0, 0)
"""Of all entries, so that the same files are the same zip."""
_MODE: Final = 0o644 << 16


@dataclass(frozen=True, slots=True)
class DatasetFile:
    """A file of an upload.

    Attributes:
        name: as the service sees it.
        size_bytes: its size.
        sha256: of its content.
        pieces: gives the content from a byte on.
    """

    name: str
    size_bytes: int
    sha256: str
    pieces: Callable[[int], Iterator[bytes]]


def read_files(paths: Sequence[Path]) -> list[DatasetFile]:
    """Return the files of an upload: those of the paths, and each folder as a zip.

    Raises:
        InvalidDatasetError: a path is missing, a folder is empty, or two have the same name.
        OSError: one cannot be read.
    """
    files = [_folder(path) if path.is_dir() else _plain(path) for path in paths]
    names = [file.name for file in files]
    if twice := sorted({name for name in names if names.count(name) > 1}):
        raise InvalidDatasetError(
            f"several paths have the name {twice[0]!r}; rename one, or put them into a folder"
        )
    if not files:
        raise InvalidDatasetError("give at least one file or folder")
    return files


def _plain(path: Path) -> DatasetFile:
    if not path.exists():
        raise InvalidDatasetError(f"there is no file or folder {str(path)!r}")

    def pieces(start: int) -> Iterator[bytes]:
        with path.open("rb") as file:
            file.seek(start)
            while piece := file.read(_PIECE_BYTES):
                yield piece

    return _described(path.name, pieces)


def _folder(path: Path) -> DatasetFile:
    """Return a folder as a zip of its files, each under the folder's name; hidden files are left out."""
    path = path.resolve()
    inside = sorted(
        entry
        for entry in path.rglob("*")
        if entry.is_file() and not any(part.startswith(".") for part in entry.relative_to(path).parts)
    )
    if not inside:
        raise InvalidDatasetError(f"the folder {str(path)!r} has no files")

    def pieces(start: int) -> Iterator[bytes]:
        for piece in _zip_pieces(path, inside):
            if start < len(piece):
                yield piece[start:]
            start = max(0, start - len(piece))

    return _described(f"{path.name}.zip", pieces)


def _described(name: str, pieces: Callable[[int], Iterator[bytes]]) -> DatasetFile:
    digest, size = hashlib.sha256(), 0
    for piece in pieces(0):
        digest.update(piece)
        size += len(piece)
    if not size:
        raise InvalidDatasetError(f"{name} is empty")
    return DatasetFile(name, size, digest.hexdigest(), pieces)


class _Written:
    """A file that cannot be read or rewound, which keeps what was written until it is taken."""

    def __init__(self) -> None:
        self._content = bytearray()

    def write(self, data: bytes) -> int:
        self._content += data
        return len(data)

    def flush(self) -> None:
        """Do nothing."""

    def take(self) -> bytes:
        taken = bytes(self._content)
        self._content.clear()
        return taken


def _zip_pieces(folder: Path, files: Sequence[Path]) -> Iterator[bytes]:
    """Yield a zip of files, which is the same whenever their names and contents are."""
    written = _Written()
    # Stored, as pictures are compressed already, and the service refuses what unpacks to much more than it is.
    with zipfile.ZipFile(written, "w", zipfile.ZIP_STORED) as archive:  # type: ignore[call-overload] # it needs write and flush alone
        for path in files:
            entry = zipfile.ZipInfo(f"{folder.name}/{path.relative_to(folder).as_posix()}", _SAME_DATE)
            entry.external_attr = _MODE
            entry.file_size = path.stat().st_size
            with path.open("rb") as file, archive.open(entry, "w") as packed:
                while piece := file.read(_PIECE_BYTES):
                    packed.write(piece)
                    yield written.take()
    yield written.take()
