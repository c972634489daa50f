"""The files of an import: what was uploaded and what is in archives, unpacked within bounds."""

import gzip
import hashlib
import io
import struct
import zipfile
import zlib
from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Final

from services.datasets.manifest import SourceFile
from services.datasets.paths import check_path
from services.datasets.uploads import DeclaredFile
from services.errors import InvalidInputError
from worker.imports.background import in_thread

MOST_UNPACKED_BYTES: Final = 2 * 2**30
MOST_ENTRIES: Final = 310_000
_MOST_RATIO: Final = 200
"""Unpacked over packed bytes; digits as text have 15."""
_FREE_BYTES: Final = 32 * 2**20
"""So much may be unpacked at any ratio."""
_HASHED_BYTES: Final = 2**20
_JUNK_FOLDERS: Final = frozenset({"__MACOSX"})
_JUNK_FILES: Final = frozenset({"thumbs.db", "desktop.ini"})
_ENCRYPTED: Final = 0x1
_DAMAGE: Final = (
    *(zlib.error, zipfile.BadZipFile, EOFError, struct.error, OverflowError, IndexError),
    *(
        OSError,
        ValueError,
        NotImplementedError,
        RuntimeError,
    ),  # zipfile seeks and decodes what a damaged entry says
)
"""Exceptions that zipfile and gzip raise for damaged files, and for methods that they lack."""


@dataclass(frozen=True, slots=True)
class Entry:
    """A file that was uploaded, or one in an archive that was.

    Attributes:
        path: in the upload; of an entry of an archive, in the archive.
        name: in messages.
        open: opens it, unpacked.
        file: on the disk; None for an entry of an archive, which can only be read from its begin.
    """

    path: str
    name: str
    open: Callable[[], IO[bytes]]
    file: Path | None = None

    @property
    def folders(self) -> list[str]:
        """The folders of the path, in lower case."""
        return self.path.lower().split("/")[:-1]

    @property
    def base(self) -> str:
        """The last part of the path in lower case, without `.gz`."""
        return self.path.lower().rpartition("/")[2].removesuffix(".gz")

    @property
    def suffix(self) -> str:
        """The end of the name from its last dot on, without `.gz`."""
        return self.base[self.base.rfind(".") :] if "." in self.base else ""


class Source:
    """Reads the uploaded files.

    Attributes:
        consumed: Bytes of the files that were read.
    """

    def __init__(
        self,
        files: Sequence[DeclaredFile],
        path_of: Callable[[int], Path],
        most_unpacked_bytes: int | None = None,
    ) -> None:
        self._files = files
        self._most_unpacked_bytes = most_unpacked_bytes or MOST_UNPACKED_BYTES
        self._path_of = path_of
        self._packed = sum(file.bytes for file in files)
        self._unpacked = 0
        self._open = ExitStack()
        self.consumed = 0

    def close(self) -> None:
        """Close archives and files that are read in any order."""
        self._open.close()

    def describe(self) -> Generator[None, None, list[SourceFile]]:
        """Return names, sizes and digests of the uploaded files.

        Raises:
            InvalidInputError: one is gone or not whole.
        """
        described = []
        for index, file in enumerate(self._files):
            digest, size = hashlib.sha256(), 0
            with self._opened(index) as content:
                while piece := content.read(_HASHED_BYTES):
                    digest.update(piece)
                    size += len(piece)
                    yield
            if size != file.bytes:
                raise InvalidInputError(f"{file.name} has {size} of {file.bytes} bytes; send it again")
            described.append(SourceFile(name=file.name, bytes=size, sha256=digest.hexdigest()))
        return described

    def entries(self) -> Generator[None, None, list[Entry]]:
        """Return all files, those of archives unpacked.

        Raises:
            InvalidInputError: an archive is damaged, encrypted or not plain.
        """
        found: list[Entry] = []
        for index, file in enumerate(self._files):
            if file.name.lower().endswith(".zip"):
                found += yield from self.members(self._path_of(index), file.name)
            else:
                found.append(self._entry(index, file.name))
            if len(found) > MOST_ENTRIES:
                raise InvalidInputError(f"the files hold more than {MOST_ENTRIES} entries; send fewer")
        return [entry for entry in found if not _is_junk(entry)]

    def members(self, path: Path, name: str) -> Generator[None, None, list[Entry]]:
        """Return the entries of a zip file, or of .npz, which is one.

        Raises:
            InvalidInputError: it is damaged or encrypted, or a path in it climbs.
        """
        with unreadable(name):
            content = self.open_again(path)
            archive = yield from in_thread(lambda: zipfile.ZipFile(content))
        infos = archive.infolist()
        if len(infos) > MOST_ENTRIES:
            raise InvalidInputError(f"{name} holds more than {MOST_ENTRIES} entries; send fewer")
        entries = []
        for number, info in enumerate(infos):
            if number % 500 == 0:
                yield
            try:
                check_path(info.filename.removesuffix("/"))
            except InvalidInputError as error:
                raise InvalidInputError(f"{name}: {error.message}") from None
            if info.is_dir():
                continue
            if info.flag_bits & _ENCRYPTED:
                raise InvalidInputError(
                    f"{name}: {info.filename} is encrypted; send the archive without a password"
                )
            entries.append(self._member(archive, info, name))
        return entries

    def unpack(self, entry: Entry, to: Path) -> Generator[None, None, Path]:
        """Return the path of an entry as a file that can be read in any order.

        Raises:
            InvalidInputError: it is damaged or too large.
        """
        if entry.file is not None:
            return entry.file
        with entry.open() as packed, to.open("wb") as file:
            while piece := packed.read(2**18):
                file.write(piece)
                yield
        return to

    def open_again(self, path: Path) -> IO[bytes]:
        """Open a file on the disk, to be read in any order until all is closed."""
        return self._open.enter_context(_Counted(path, self))

    def note_unpacked(self, count: int, name: str) -> None:
        """Count unpacked bytes.

        Raises:
            InvalidInputError: there are too many, at all or for the size of the upload.
        """
        self._unpacked += count
        if self._unpacked > self._most_unpacked_bytes:
            raise InvalidInputError(
                f"{name}: the files unpack to more than {self._most_unpacked_bytes // 2**30} GiB"
            )
        if self._unpacked > max(_FREE_BYTES, _MOST_RATIO * self._packed):
            raise InvalidInputError(
                f"{name}: the files unpack to more than {_MOST_RATIO} times their size, as no digits do"
            )

    def _entry(self, index: int, name: str) -> Entry:
        path = self._path_of(index)

        def opened() -> IO[bytes]:
            return self._bounded(self._opened(index), name)

        return Entry(name, name, opened, None if name.lower().endswith(".gz") else path)

    def _member(self, archive: zipfile.ZipFile, info: zipfile.ZipInfo, outer: str) -> Entry:
        name = f"{outer}: {info.filename}"

        def opened() -> IO[bytes]:
            with unreadable(name):
                raw = archive.open(info)
            return self._bounded(raw, name)

        return Entry(info.filename, name, opened)

    def _opened(self, index: int) -> IO[bytes]:
        path = self._path_of(index)
        if not path.exists():
            raise InvalidInputError(f"{self._files[index].name} is gone; upload it again")
        return _Counted(path, self)

    def _bounded(self, raw: IO[bytes], name: str) -> IO[bytes]:
        """Return a file, unpacked if its name ends in `.gz`."""
        return io.BufferedReader(_Bounded(raw, name, self), 2**16)


class _Counted(io.FileIO):
    """An uploaded file whose read bytes are counted."""

    def __init__(self, path: Path, source: Source) -> None:
        super().__init__(path)
        self._source = source

    def read(self, size: int | None = -1, /) -> bytes:
        data = super().read(-1 if size is None else size) or b""
        self._source.consumed += len(data)
        return data


class _Bounded(io.RawIOBase):
    """An unpacked stream that does not become too long, and whose damage has a name."""

    def __init__(self, raw: IO[bytes], name: str, source: Source) -> None:
        super().__init__()
        self._raw = raw
        self._unpacked = gzip.GzipFile(fileobj=raw) if name.lower().endswith(".gz") else raw
        self._name = name
        self._source = source

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: "memoryview | bytearray") -> int:  # type: ignore[override] # the buffer of a BufferedReader
        with unreadable(self._name):
            data = self._unpacked.read(len(buffer))
        self._source.note_unpacked(len(data), self._name)
        buffer[: len(data)] = data
        return len(data)

    def close(self) -> None:
        self._unpacked.close()
        self._raw.close()
        super().close()


@contextmanager
def unreadable(name: str) -> Iterator[None]:
    """Translate the errors of archives and compressed files that are damaged."""
    try:
        yield
    except _DAMAGE as error:
        raise InvalidInputError(f"{name} is damaged or no such file as its name says: {error}") from None


def _is_junk(entry: Entry) -> bool:
    """Return whether a file is one that systems add by themselves."""
    parts = entry.path.split("/")
    return bool(_JUNK_FOLDERS & set(parts)) or parts[-1].startswith(".") or parts[-1].lower() in _JUNK_FILES
