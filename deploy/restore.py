"""`hxserve restore FILE`: a service from its backup, in an empty place; then it is started as always."""

import json
import os
import shutil
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

import msgpack

from deploy.archive import ADMIN, FOLDERS, RECORDS, Archive, BackupManifest
from deploy.phrases import described
from deploy.places import parser_of, run, stopped
from services.errors import ConflictError
from services.files import storage_errors, sync_folder, write_durably
from services.settings import Settings
from services.store.snapshot import Record, SnapshotStore


def restore(settings: Settings, path: Path, *, use_redis: bool, replace: bool = False) -> BackupManifest:
    """Puts the records and files of a backup where a service will find them.

    Nothing is touched before all of the backup was read and found whole. Until it is done no process starts there, so
    that one which was cut off is simply run again.

    Raises:
        BackupDamagedError: the file is damaged or no backup.
        SchemaError: a newer hxserve made it.
        ConflictError: there is a service already, and `replace` is not said; or one runs.
        UnavailableError: one runs on the folder.
        StorageError: the folder cannot be written.
        RedisUnavailableError: Redis does not answer.
    """
    archive = Archive(path)
    data = settings.data_dir
    with storage_errors(data):
        data.mkdir(parents=True, exist_ok=True)
    with stopped(settings, use_redis=use_redis) as connection:
        store = SnapshotStore(connection)
        store.check_stopped()
        if not store.is_unfinished() and not replace:
            _check_empty(settings, store, archive)
        records = list(_records(archive))
        if records:
            store.check_readable(records[0])
        store.begin()
        with storage_errors(data):
            _put_files(settings, archive)
        store.restore(records)
        store.finish(archive.manifest.schema_version, [record.name for record in records])
    return archive.manifest


def _check_empty(settings: Settings, store: SnapshotStore, archive: Archive) -> None:
    """Does nothing where no service was.

    Raises:
        ConflictError: one was.
    """
    there = [str(settings.data_dir / folder) for folder in FOLDERS if _has_files(settings.data_dir / folder)]
    if not store.is_empty():
        there.append("records in Redis")
    if settings.token_file.exists() and _writes_token(settings):
        kept = next((content for name, content in archive.files() if name == ADMIN), None)
        if kept != settings.token_file.read_bytes():
            there.append(f"another token in {settings.token_file}")
    if there:
        raise ConflictError(
            f"there is a service already ({', '.join(there)}); restore into an empty place, or say --replace "
            "to delete it"
        )


def _has_files(folder: Path) -> bool:
    return folder.is_dir() and any(folder.iterdir())


def _writes_token(settings: Settings) -> bool:
    """Whether the token belongs to the data folder; one that is kept elsewhere is the operator's."""
    return settings.admin_token_file is None


def _records(archive: Archive) -> Iterator[Record]:
    packed = next(content for name, content in archive.files() if name == RECORDS)
    unpacker = msgpack.Unpacker(max_buffer_size=len(packed))
    unpacker.feed(packed)
    return (Record(*fields) for fields in unpacker)


def _put_files(settings: Settings, archive: Archive) -> None:
    data = settings.data_dir
    for folder in FOLDERS:
        shutil.rmtree(data / folder, ignore_errors=True)
        (data / folder).mkdir()
    for name, content in archive.files():
        if name == RECORDS:
            continue
        if name == ADMIN:
            if _writes_token(settings):
                write_durably(settings.token_file, content, mode=0o600)
            continue
        path = data / name
        path.parent.mkdir(parents=True, exist_ok=True)
        write_durably(path, content)
    for name in archive.manifest.folders:
        (data / name).mkdir(parents=True, exist_ok=True)
    for name, meant in archive.manifest.links.items():
        (data / name).symlink_to(meant)
        sync_folder((data / name).parent)
    # Files were synced one by one; the folders made for them are here.
    os.sync()


def main(arguments: Sequence[str] | None = None) -> int:
    """Restores a backup and says what was in it; the exit status."""
    parser = parser_of("restore", "Restore a backup where no service is, or in the place of a stopped one.")
    parser.add_argument("--replace", action="store_true", help="delete the stopped service that is there")
    options = parser.parse_args(arguments)

    def work(settings: Settings, use_redis: bool) -> None:
        manifest = restore(settings, options.file, use_redis=use_redis, replace=options.replace)
        if options.as_json:
            facts = manifest.model_dump(exclude={"members", "links", "folders"})
            print(json.dumps({"restored_to": str(settings.data_dir), **facts}))  # noqa: T201 what was asked for
            return
        print(f"restored to {settings.data_dir}: {described(manifest)}")  # noqa: T201 the operator's terminal

    return run(work, options)


if __name__ == "__main__":
    sys.exit(main())
