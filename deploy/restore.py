"""`hxserve restore FILE`: a service from its backup, in an empty place; afterwards it is started as usual."""

import os
import shutil
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Final

import msgpack

from deploy.archive import ADMIN, FOLDERS, RECORDS, Archive, BackupManifest
from deploy.command import run_command
from deploy.recovery import open_records, parser_of, report, settings_from
from services.errors import ConflictError
from services.files import storage_errors, write_durably
from services.settings import Settings
from services.store.snapshot import Record, SnapshotStore

_DOWNLOADED: Final = "MNIST"
"""A folder beside the data sets."""


def restore(settings: Settings, path: Path, *, replace: bool = False) -> BackupManifest:
    """Restore the records and files of a backup.

    Nothing is touched before all of the backup was read and found whole. Until the restore is complete no process
    starts on the records, and a restore that was cut off is run again.

    With `replace` the service that is there is deleted.

    Raises:
        BackupDamagedError: the file is damaged or no backup.
        SchemaError: a newer hxserve made it.
        ConflictError: a service is there and `replace` is false, or a worker runs.
        UnavailableError: a service runs on the data folder.
        StorageError: the data folder cannot be written.
        RedisUnavailableError: Redis does not answer.
    """
    archive = Archive(path)
    data = settings.data_dir
    with storage_errors(data):
        data.mkdir(parents=True, exist_ok=True)
    with open_records(settings, stopped=True) as connection:
        store = SnapshotStore(connection)
        store.check_stopped()
        if not store.is_unfinished() and not replace:
            _check_empty(settings, store, archive)
        records = _records(archive)
        if records:
            store.check_readable(records[0])
        store.begin()
        with storage_errors(data):
            _write_files(settings, archive)
        store.restore(records)
        store.finish(archive.manifest.schema_version, [record.name for record in records])
    return archive.manifest


def _check_empty(settings: Settings, store: SnapshotStore, archive: Archive) -> None:
    """Raise ConflictError where a service is."""
    there = [
        str(path) for path in (settings.data_dir / folder for folder in FOLDERS) if any(_content_of(path))
    ]
    if not store.is_empty():
        there.append("records in Redis")
    if _owns_token(settings) and settings.token_file.exists():
        kept = next((content for name, content in archive.files() if name == ADMIN), None)
        if kept != settings.token_file.read_bytes():
            there.append(f"another token in {settings.token_file}")
    if there:
        raise ConflictError(
            f"there is a service already ({', '.join(there)}); restore into an empty place, or say --replace "
            "to delete it"
        )


def _content_of(folder: Path) -> list[Path]:
    """Return what a service has in a folder; a downloaded MNIST belongs to none."""
    return [path for path in folder.iterdir() if path.name != _DOWNLOADED] if folder.is_dir() else []


def _owns_token(settings: Settings) -> bool:
    """Return True if the token is in the data folder; one that is kept elsewhere is the operator's."""
    return settings.admin_token_file is None


def _records(archive: Archive) -> list[Record]:
    packed = next(content for name, content in archive.files() if name == RECORDS)
    unpacker = msgpack.Unpacker(max_buffer_size=len(packed))
    unpacker.feed(packed)
    return [Record(*fields) for fields in unpacker]


def _write_files(settings: Settings, archive: Archive) -> None:
    data = settings.data_dir
    for folder in FOLDERS:
        (data / folder).mkdir(exist_ok=True)
        for path in _content_of(data / folder):
            shutil.rmtree(path, ignore_errors=True)
            path.unlink(missing_ok=True)
    for name, content in archive.files():
        if name == ADMIN and _owns_token(settings):
            write_durably(settings.token_file, content, mode=0o600)
        elif name not in {RECORDS, ADMIN}:
            (data / name).parent.mkdir(parents=True, exist_ok=True)
            (data / name).write_bytes(content)
    for name in archive.manifest.folders:
        (data / name).mkdir(parents=True, exist_ok=True)
    for name, target in archive.manifest.links.items():
        (data / name).symlink_to(target)
    os.sync()


def main(arguments: Sequence[str] | None = None) -> int:
    """Restore a backup and report its contents; return the exit status."""
    parser = parser_of("restore", "Restore a backup where no service is, or in the place of a stopped one.")
    parser.add_argument("--replace", action="store_true", help="delete the stopped service that is there")
    options = parser.parse_args(arguments)

    def work() -> None:
        settings = settings_from(options)
        manifest = restore(settings, options.file, replace=options.replace)
        fields = {"restored_to": str(settings.data_dir)}
        report(manifest, f"restored to {settings.data_dir}: ", fields if options.as_json else None)

    return run_command(work)


if __name__ == "__main__":
    sys.exit(main())
