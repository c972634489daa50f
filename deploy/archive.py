"""The file of a backup: a gzipped tar of plain files, the manifest last, and a seal behind it.

The seal is the SHA-256 digest of all bytes before it, as the comment of an empty gzip member, which `tar` ignores.
"""

import gzip
import hashlib
import os
import tarfile
import time
import zlib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from io import BytesIO
from pathlib import Path
from typing import IO, Final, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from services.errors import BackupDamagedError, SchemaError, StorageError
from services.explanations import explain
from services.files import replacement, storage_errors
from services.store.schema import SCHEMA

RECORDS: Final = "records.msgpack"
ADMIN: Final = "admin-token"
FOLDERS: Final = ("models", "datasets", "saves", "batches", "calibrations")
_MANIFEST: Final = "manifest.json"
_SEAL_HEAD: Final = b"\x1f\x8b\x08\x10\x00\x00\x00\x00\x00\xff"
_SEAL_END: Final = b"\x00\x03\x00" + bytes(8)
"""Source: RFC 1952: a member with a comment and no content."""
_SEAL_BYTES: Final = len(_SEAL_HEAD) + 64 + len(_SEAL_END)
_DAMAGED: Final = (tarfile.TarError, gzip.BadGzipFile, zlib.error, EOFError, ValueError)


class BackupManifest(BaseModel):
    """The contents of a backup.

    Attributes:
        format: Of the file; 1 also lists a digest of each member, which the seal makes superfluous.
        hxserve: The version of the program that took the backup.
        schema_version: Of the records.
        taken_at: The moment of the records, in Unix seconds.
        counts: Numbers of records, users, models and so on.
        links: Symbolic links, each from a name to a name beside it.
        folders: Empty folders that have a meaning.
    """

    model_config = ConfigDict(extra="ignore", frozen=True)

    format: Literal[1, 2] = 2
    hxserve: str
    schema_version: int = Field(ge=0)
    taken_at: float
    counts: Mapping[str, int]
    links: Mapping[str, str] = Field(default_factory=dict)
    folders: tuple[str, ...] = ()


@contextmanager
def new_archive(path: Path) -> Iterator[tarfile.TarFile]:
    """Open a new archive, which replaces `path` when the context ends without an error.

    Raises:
        StorageError: the archive cannot be written; the old file stays.
    """
    with storage_errors(path), replacement(path, mode=0o600) as file:
        with tarfile.open(fileobj=file, mode="w:gz", compresslevel=1) as tar:
            yield tar
        file.seek(0)
        file.write(seal_of(hashlib.file_digest(file, "sha256").hexdigest()))


def add_member(tar: tarfile.TarFile, name: str, content: IO[bytes] | bytes) -> None:
    """Add a file to an archive; an open file is added as long as it is now.

    Raises:
        OSError: the file cannot be read, or the archive cannot be written.
    """
    member = tarfile.TarInfo(name)
    member.size = len(content) if isinstance(content, bytes) else os.fstat(content.fileno()).st_size
    member.mode, member.mtime = 0o600, int(time.time())
    tar.addfile(member, BytesIO(content) if isinstance(content, bytes) else content)


def add_manifest(tar: tarfile.TarFile, manifest: BackupManifest) -> None:
    """Add the manifest, the last member of an archive."""
    add_member(tar, _MANIFEST, manifest.model_dump_json(indent=1).encode())


def seal_of(sha256: str) -> bytes:
    """Return the seal of an archive with this digest."""
    return _SEAL_HEAD + sha256.encode() + _SEAL_END


class Archive:
    """A backup of which every byte is as it was written.

    Attributes:
        manifest: The contents.

    Raises:
        BackupDamagedError: the file is no backup, or a byte of it was lost or changed.
        SchemaError: a newer hxserve made it.
        StorageError: it cannot be read.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._seal = self._checked_seal()
        names, name, last = set(), "", b""
        for name, content in self._members():
            names.add(name)
            last = content
        if name != _MANIFEST or RECORDS not in names:
            raise BackupDamagedError(f"{path} is no backup of hxserve: {RECORDS} or {_MANIFEST} is missing")
        self.manifest = _read_manifest(last, path)

    def files(self) -> Iterator[tuple[str, bytes]]:
        """Yield the name and the content of each file.

        Raises:
            BackupDamagedError: the archive was changed since it was opened.
        """
        yield from ((name, content) for name, content in self._members() if name != _MANIFEST)
        if self._checked_seal() != self._seal:
            raise BackupDamagedError(f"{self._path} was changed while it was read")

    def _members(self) -> Iterator[tuple[str, bytes]]:
        try:
            with gzip.open(self._path) as unpacked, tarfile.open(fileobj=unpacked, mode="r|") as tar:
                for member in tar:
                    file = tar.extractfile(member) if member.isreg() and is_inside(member.name) else None
                    if file is None:
                        raise _foreign(member.name)
                    yield member.name, file.read()
        except _DAMAGED as error:
            raise BackupDamagedError(
                f"{self._path} is damaged or no backup of hxserve ({type(error).__name__}: {error}); use another one"
            ) from None
        except OSError as error:
            raise StorageError(f"{self._path} cannot be read ({error.strerror})") from None

    def _checked_seal(self) -> bytes:
        """Return the seal; raise if it is not that of the bytes before it."""
        digest = hashlib.sha256()
        try:
            with self._path.open("rb") as file:
                left = self._path.stat().st_size - _SEAL_BYTES
                while left > 0 and (piece := file.read(min(left, 2**20))):
                    digest.update(piece)
                    left -= len(piece)
                seal = file.read()
        except OSError as error:
            raise StorageError(f"{self._path} cannot be read ({error.strerror})") from None
        if seal != seal_of(digest.hexdigest()):
            raise BackupDamagedError(
                f"{self._path} is damaged, not whole or no backup of hxserve; use another one"
            )
        return seal


def is_inside(name: str) -> bool:
    """Return True for a name that a backup may contain: one of its own files, or a path below its folders."""
    if name in {RECORDS, ADMIN, _MANIFEST}:
        return True
    parts = name.split("/")
    plain = all(part not in {"", ".", ".."} and part.isprintable() and "\\" not in part for part in parts)
    return plain and len(parts) > 1 and parts[0] in FOLDERS


def _foreign(name: str) -> BackupDamagedError:
    return BackupDamagedError(f"{name!r} is nothing that a backup of hxserve holds")


def _read_manifest(packed: bytes, path: Path) -> BackupManifest:
    try:
        manifest = BackupManifest.model_validate_json(packed)
    except ValidationError as error:
        if any(problem["loc"] == ("format",) for problem in error.errors()):
            raise SchemaError(
                f"{path} was made by a newer hxserve; restore it with that or a newer one"
            ) from None
        raise BackupDamagedError(
            f"the manifest of {path} is not one of hxserve ({explain(error, BackupManifest)})"
        ) from None
    if manifest.schema_version > SCHEMA:
        raise SchemaError(
            f"{path} was made by hxserve {manifest.hxserve} with schema version {manifest.schema_version}; this "
            f"hxserve knows {SCHEMA} and older. Install that version or a newer one, then restore"
        )
    foreign = [name for name in (*manifest.links, *manifest.folders) if not is_inside(name)]
    foreign += [name for name, to in manifest.links.items() if "/" in to or to in {"", ".", ".."}]
    if foreign:
        raise _foreign(foreign[0])
    return manifest
