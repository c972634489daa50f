"""The file of a backup: a gzipped tar of plain files, behind them a manifest with the digest of each, and a seal.

The seal is the digest of the whole file before it, as the comment of an empty gzip member, which unpackers pass over.

It is written under another name, and gets its own when it is complete and on the disk. It is read twice: first all of
it is compared with seal and manifest, then its files are given out, each compared again.
"""

import gzip
import hashlib
import os
import secrets
import tarfile
import time
import zlib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from io import BytesIO
from pathlib import Path, PurePosixPath
from typing import IO, Any, Final, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from services.errors import BackupDamagedError, SchemaError, StorageError
from services.files import storage_errors, sync_folder
from services.jobs.params import explain
from services.store.schema import SCHEMA

RECORDS: Final = "records.msgpack"
ADMIN: Final = "admin-token"
FOLDERS: Final = ("models", "saves", "calibrations")
_MANIFEST: Final = "manifest.json"
_SEAL_HEAD: Final = b"\x1f\x8b\x08\x10\x00\x00\x00\x00\x00\xff"
_SEAL_END: Final = b"\x00\x03\x00" + bytes(8)
"""Source: RFC 1952: a member with a comment and nothing in it."""
_SEAL_BYTES: Final = len(_SEAL_HEAD) + 64 + len(_SEAL_END)

_LARGEST_MANIFEST: Final = 64 * 2**20
_UNREADABLE: Final = (tarfile.TarError, gzip.BadGzipFile, zlib.error, EOFError, UnicodeError, ValueError)


class Member(BaseModel):
    """A file in the archive."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    bytes: int = Field(ge=0)
    sha256: str


class BackupManifest(BaseModel):
    """What an archive holds; `taken_at` is the moment of the records, in Unix seconds.

    `links` lead from a name to a name beside it; `folders` are empty ones that mean something.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    format: Literal[1] = 1
    hxserve: str
    schema_version: int = Field(ge=0)
    taken_at: float
    counts: Mapping[str, int]
    members: Mapping[str, Member]
    links: Mapping[str, str] = Field(default_factory=dict)
    folders: tuple[str, ...] = ()


class ArchiveWriter:
    """Puts files into an archive, and remembers their digests."""

    def __init__(self, file: IO[bytes]) -> None:
        self._file = _Digesting(file)
        whole: Any = self._file
        self._tar = tarfile.open(fileobj=whole, mode="w:gz", compresslevel=1)  # noqa: SIM115 closed by `finish`
        self.members: dict[str, Member] = {}

    def add(self, name: str, content: IO[bytes], size_bytes: int) -> None:
        """Adds a file.

        Raises:
            OSError: the content ends before its size, or the archive cannot be written.
        """
        hashing = _Digesting(content)
        self._add(name, hashing, size_bytes)
        self.members[name] = Member(bytes=size_bytes, sha256=hashing.digest.hexdigest())

    def finish(self, manifest: BackupManifest) -> None:
        """Adds the manifest and the seal."""
        packed = manifest.model_dump_json(indent=1).encode()
        self._add(_MANIFEST, BytesIO(packed), len(packed))
        self._tar.close()
        self._file.write(seal_of(self._file.digest.hexdigest()))

    def _add(self, name: str, content: Any, size_bytes: int) -> None:
        facts = tarfile.TarInfo(name)
        facts.size, facts.mode, facts.mtime = size_bytes, 0o600, int(time.time())
        self._tar.addfile(facts, content)


def seal_of(sha256: str) -> bytes:
    """What stands behind an archive with this digest."""
    return _SEAL_HEAD + sha256.encode() + _SEAL_END


class _Digesting:
    """A file whose bytes are counted into a digest while they are read or written."""

    def __init__(self, content: IO[bytes]) -> None:
        self._content = content
        self.digest = hashlib.sha256()

    def read(self, size: int = -1) -> bytes:
        """The next bytes."""
        piece = self._content.read(size)
        self.digest.update(piece)
        return piece

    def write(self, piece: bytes) -> int:
        """Writes bytes."""
        self.digest.update(piece)
        return self._content.write(piece)


@contextmanager
def writing(path: Path) -> Iterator[ArchiveWriter]:
    """A new archive, which has its name, complete and on the disk, when the context ends without an error.

    Raises:
        StorageError: it cannot be written; what was there under the name is as it was.
    """
    unfinished = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
    with storage_errors(path):
        descriptor = os.open(unfinished, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        try:
            with os.fdopen(descriptor, "wb") as file:
                yield ArchiveWriter(file)
                file.flush()
                os.fsync(file.fileno())
            unfinished.replace(path)
        finally:
            unfinished.unlink(missing_ok=True)
        sync_folder(path.parent)


class Archive:
    """An archive that was read to its end and is what its manifest says."""

    def __init__(self, path: Path) -> None:
        """Compares all of it with its manifest.

        Raises:
            BackupDamagedError: it is no backup, not whole, or changed.
            SchemaError: a newer hxserve made it.
        """
        self._path = path
        _check_seal(path)
        found: dict[str, Member] = {}
        packed = b""
        for name, content in self._files():
            if name == _MANIFEST:
                packed = content
            elif packed or name in found:
                raise BackupDamagedError(
                    f"{path} is no backup of hxserve: {name!r} is where nothing should be"
                )
            else:
                found[name] = Member(bytes=len(content), sha256=hashlib.sha256(content).hexdigest())
        self.manifest = _read_manifest(packed, path)
        said = self.manifest.members
        wrong = {name for name in {*found, *said} if found.get(name) != said.get(name)}
        if wrong:
            raise BackupDamagedError(
                f"{path} is damaged: {', '.join(sorted(wrong)[:3])} is not what was backed up"
            )
        if RECORDS not in found:
            raise BackupDamagedError(f"{path} is no backup of hxserve: it has no {RECORDS}")

    def files(self) -> Iterator[tuple[str, bytes]]:
        """The name and the content of each file.

        Raises:
            BackupDamagedError: the archive changed since it was compared.
        """
        for name, content in self._files():
            known = self.manifest.members.get(name)
            if name != _MANIFEST and (known is None or known.sha256 != hashlib.sha256(content).hexdigest()):
                raise BackupDamagedError(f"{self._path} was changed while it was read")
            if known is not None:
                yield name, content

    def _files(self) -> Iterator[tuple[str, bytes]]:
        try:
            with gzip.open(self._path) as unpacked, tarfile.open(fileobj=unpacked, mode="r|") as tar:
                for member in tar:
                    yield member.name, _content(tar, member)
                while unpacked.read(2**20):  # the checksum of all comes last
                    pass
        except _UNREADABLE as error:
            raise BackupDamagedError(
                f"{self._path} is damaged or no backup of hxserve ({type(error).__name__}: {error}); use another one"
            ) from None
        except OSError as error:
            raise StorageError(f"{self._path} cannot be read ({error.strerror})") from None


def _check_seal(path: Path) -> None:
    """Does nothing if every byte of the file is as it was written.

    Raises:
        BackupDamagedError: one is not, or it is no backup.
        StorageError: it cannot be read.
    """
    digest = hashlib.sha256()
    try:
        with path.open("rb") as file:
            left = path.stat().st_size - _SEAL_BYTES
            while left > 0 and (piece := file.read(min(left, 2**20))):
                digest.update(piece)
                left -= len(piece)
            seal = file.read()
    except OSError as error:
        raise StorageError(f"{path} cannot be read ({error.strerror})") from None
    if seal != seal_of(digest.hexdigest()):
        raise BackupDamagedError(f"{path} is damaged, not whole or no backup of hxserve; use another one")


def _content(tar: tarfile.TarFile, member: tarfile.TarInfo) -> bytes:
    limit = _LARGEST_MANIFEST if member.name == _MANIFEST else member.size
    if not member.isreg() or not is_inside(member.name) or member.size > limit:
        raise BackupDamagedError(f"{member.name!r} is nothing that a backup of hxserve holds")
    file = tar.extractfile(member)
    assert file is not None, "regular files have content"
    return file.read()


def is_inside(name: str) -> bool:
    """Whether a name is one that a backup may hold: a file of its own, or one somewhere below its folders."""
    if name in {RECORDS, ADMIN, _MANIFEST}:
        return True
    parts = name.split("/")
    plain = all(part not in {"", ".", ".."} and part.isprintable() and "\\" not in part for part in parts)
    return plain and len(parts) > 1 and parts[0] in FOLDERS


def _read_manifest(packed: bytes, path: Path) -> BackupManifest:
    if not packed:
        raise BackupDamagedError(f"{path} is not whole: it has no {_MANIFEST}")
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
    leading_out = [name for name in (*manifest.links, *manifest.folders) if not is_inside(name)]
    leading_out += [
        name for name, to in manifest.links.items() if len(PurePosixPath(to).parts) != 1 or to == ".."
    ]
    if leading_out:
        raise BackupDamagedError(f"{leading_out[0]!r} is nothing that a backup of hxserve holds")
    return manifest
