"""`hxserve backup FILE`: everything that a service would miss after a disk failure, in one file, while it runs."""

import json
import sys
import time
from collections.abc import Sequence
from importlib import metadata
from pathlib import Path
from tempfile import TemporaryFile

import msgpack

from deploy.archive import ADMIN, RECORDS, ArchiveWriter, BackupManifest, writing
from deploy.contents import Contents
from deploy.phrases import described
from deploy.places import parser_of, run, running_or_stopped
from services.errors import StorageError
from services.settings import Settings
from services.store.snapshot import Snapshot, SnapshotStore


def back_up(settings: Settings, path: Path, *, use_redis: bool) -> BackupManifest:
    """Writes a backup; what is under the name before stays until this one is complete.

    Raises:
        StorageError: it cannot be written, or a file of the service cannot be read.
        RedisUnavailableError: Redis does not answer.
        UnavailableError: there is no service.
    """
    if path.is_dir():
        raise StorageError(f"{path} is a folder; give the name of a file")
    with running_or_stopped(settings, use_redis=use_redis) as connection, writing(path) as archive:
        snapshot = SnapshotStore(connection).take()
        contents = Contents(settings)
        contents.write(archive)
        _add_records(archive, snapshot)
        _add_token(archive, settings.token_file)
        manifest = BackupManifest(
            hxserve=metadata.version("hxserve-server"),
            schema_version=snapshot.schema,
            taken_at=snapshot.taken_at,
            counts={"records": len(snapshot.records), **snapshot.counts, **contents.counts},
            members=archive.members,
            links=contents.links,
            folders=tuple(contents.folders),
        )
        archive.finish(manifest)
    return manifest


def _add_records(archive: ArchiveWriter, snapshot: Snapshot) -> None:
    with TemporaryFile() as file:
        for record in snapshot.records:
            file.write(msgpack.packb((record.name, record.left_ms, record.value)))
        size_bytes = file.tell()
        file.seek(0)
        archive.add(RECORDS, file, size_bytes)


def _add_token(archive: ArchiveWriter, path: Path) -> None:
    try:
        with path.open("rb") as file:
            archive.add(ADMIN, file, path.stat().st_size)
    except FileNotFoundError:
        return
    except PermissionError:
        raise StorageError(f"{path} cannot be read; run this as the user that the service runs as") from None


def main(arguments: Sequence[str] | None = None) -> int:
    """Takes a backup and says what is in it; the exit status."""
    options = parser_of("backup", "Take a backup of a service, which may run.").parse_args(arguments)

    def work(settings: Settings, use_redis: bool) -> None:
        began = time.monotonic()
        manifest = back_up(settings, options.file, use_redis=use_redis)
        size_bytes = options.file.stat().st_size
        if options.as_json:
            facts = manifest.model_dump(exclude={"members", "links", "folders"})
            print(json.dumps({"file": str(options.file), "bytes": size_bytes, **facts}))  # noqa: T201 what was asked for
            return
        print(  # noqa: T201 the operator's terminal
            f"{options.file}: {size_bytes / 2**20:.1f} MiB in {time.monotonic() - began:.1f} s\n{described(manifest)}"
        )

    return run(work, options)


if __name__ == "__main__":
    sys.exit(main())
