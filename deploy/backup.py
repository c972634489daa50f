"""`hxserve backup FILE`: all that a disk failure would take from a service, in one file, while the service runs.

The records are read first, the files after them: files are published by a rename, so an open file is whole, and those
that the records refer to are there by then. A file that is deleted meanwhile is left out with all that belong to it.
"""

import sys
import tarfile
import time
from collections.abc import Sequence
from contextlib import ExitStack
from importlib import metadata
from pathlib import Path
from tempfile import TemporaryFile

import msgpack

from deploy.archive import ADMIN, RECORDS, BackupManifest, add_manifest, add_member, new_archive
from deploy.command import run_command
from deploy.recovery import open_records, parser_of, report, settings_from
from services.batch_jobs.answers import BatchStore
from services.datasets.files import DatasetStore
from services.datasets.uploads import FOLDER as UPLOADS
from services.datasets.uploads import SCRATCH
from services.errors import StorageError
from services.models.files import ModelStore
from services.models.uploads import SUFFIX
from services.settings import Settings
from services.store.snapshot import Record, SnapshotStore


def back_up(settings: Settings, path: Path) -> BackupManifest:
    """Write a backup; an older one of the same name stays until this one is complete.

    Raises:
        StorageError: the backup cannot be written, or a file of the service cannot be read.
        RedisUnavailableError: Redis does not answer.
        UnavailableError: there is no service.
    """
    if path.is_dir():
        raise StorageError(f"{path} is a folder; give the name of a file")
    with open_records(settings) as connection, new_archive(path) as tar:
        snapshot = SnapshotStore(connection).take()
        saves = _add_saves(tar, settings.saves_dir)
        batches = _add_batches(tar, settings.batches_dir)
        models, versions = _add_models(tar, settings.models_dir)
        datasets = _add_datasets(tar, settings.datasets_dir)
        calibrations, links = _add_calibrations(tar, settings.calibrations_dir)
        _add_records(tar, snapshot.records)
        _add_together(tar, {ADMIN: settings.token_file})
        manifest = BackupManifest(
            hxserve=metadata.version("hxserve-server"),
            schema_version=snapshot.schema,
            taken_at=snapshot.taken_at,
            counts={
                "records": len(snapshot.records),
                **snapshot.counts,
                "models": models,
                "versions": versions,
                "datasets": datasets,
                "saves": saves,
                "batches": batches,
                "calibrations": calibrations,
            },
            links=links,
            folders=tuple(
                f"{root.name}/{tombstone.relative_to(root).as_posix()}"
                for root in (settings.models_dir, settings.datasets_dir)
                for tombstone in sorted(root.glob("*/.deleted/*"))
            ),
        )
        add_manifest(tar, manifest)
    return manifest


def _add_records(tar: tarfile.TarFile, records: Sequence[Record]) -> None:
    with TemporaryFile() as file:
        for record in records:
            file.write(msgpack.packb((record.name, record.left_ms, record.value)))
        file.seek(0)
        add_member(tar, RECORDS, file)


def _add_saves(tar: tarfile.TarFile, folder: Path) -> int:
    """Add the states of unfinished trainings and the files of uploads; return their number.

    Marks of running jobs are left out, because no worker died of these jobs.
    """
    saves = [name for name in _files(folder) if name.endswith((".safetensors", SUFFIX))]
    return sum(_add_together(tar, {f"saves/{name}": folder / name}) for name in saves)


def _add_batches(tar: tarfile.TarFile, root: Path) -> int:
    """Add the answers of batch jobs; return the number of jobs."""
    return sum(_add_folder(tar, root, job_id) for job_id in BatchStore(root).job_ids())


def _add_models(tar: tarfile.TarFile, root: Path) -> tuple[int, int]:
    """Add the models with their aliases and shares; return the number of models and of versions."""
    store = ModelStore(root)
    models = versions = 0
    for name in store.names():
        aliases = store.alias_files.of(name)
        kept = _add_versions(tar, root, name, store.versions(name))
        for alias, read in aliases.items():
            if read.version in kept:
                add_member(tar, f"models/{name}/aliases/{alias}", read.packed())
        models, versions = models + bool(kept), versions + len(kept)
    return models, versions


def _add_datasets(tar: tarfile.TarFile, root: Path) -> int:
    """Add the data sets with their shares, and the files of uploads; return the number of data sets.

    A downloaded MNIST is left out.
    """
    store = DatasetStore(root)
    for folder in sorted((root / UPLOADS).glob("*")):
        paths = {
            f"{root.name}/{UPLOADS}/{folder.name}/{file}": folder / file
            for file in _files(folder)
            if not file.endswith(SCRATCH)
        }
        _add_together(tar, paths)
    return sum(bool(_add_versions(tar, root, name, store.versions(name))) for name in store.names())


def _add_versions(tar: tarfile.TarFile, root: Path, name: str, versions: Sequence[str]) -> list[str]:
    """Add versions of a model or a data set, and the marks of its shares; return the versions that were added."""
    kept = [version for version in versions if _add_folder(tar, root, f"{name}/{version}")]
    for mark in _files(root / name / "shared"):
        _add_together(tar, {f"{root.name}/{name}/shared/{mark}": root / name / "shared" / mark})
    return kept


def _add_calibrations(tar: tarfile.TarFile, root: Path) -> tuple[int, dict[str, str]]:
    """Add the calibrations; return their number and the links to the latest ones."""
    kept = [
        night
        for night in sorted(
            path.relative_to(root) for path in root.glob("*/stable/[!.]*") if not path.is_symlink()
        )
        # A calibration that is being removed may have only its canary left.
        if any(name.startswith("hagen_cocolist.") for name in _files(root / night))
        and _add_folder(tar, root, night.as_posix())
    ]
    links = {
        f"calibrations/{latest.relative_to(root).as_posix()}": str(latest.readlink())
        for latest in root.glob("*/stable/latest")
        if latest.is_symlink() and latest.parent.relative_to(root) / latest.readlink() in kept
    }
    return len(kept), links


def _add_folder(tar: tarfile.TarFile, root: Path, name: str) -> bool:
    """Add the files of a folder below one of `FOLDERS`, or none; return True if they were added."""
    paths = {f"{root.name}/{name}/{file}": root / name / file for file in _files(root / name)}
    return _add_together(tar, paths)


def _add_together(tar: tarfile.TarFile, paths: dict[str, Path]) -> bool:
    """Add files that belong together, by their names in the archive; none, and return False, if one is missing."""
    with ExitStack() as stack:
        try:
            files = {name: stack.enter_context(path.open("rb")) for name, path in paths.items()}
        except FileNotFoundError:
            return False
        except OSError as error:
            raise StorageError(
                f"{error.filename} cannot be read ({error.strerror}); run this as the user that the service runs as"
            ) from None
        for name, file in files.items():
            add_member(tar, name, file)
    return bool(paths)


def _files(folder: Path) -> list[str]:
    """Return the names of the files in a folder, if it is one, without those that are being written."""
    try:
        return sorted(path.name for path in folder.iterdir() if path.is_file() and path.name[0] != ".")
    except (FileNotFoundError, NotADirectoryError):
        return []


def main(arguments: Sequence[str] | None = None) -> int:
    """Take a backup and report its contents; return the exit status."""
    options = parser_of("backup", "Take a backup of a service, which may run.").parse_args(arguments)

    def work() -> None:
        began = time.monotonic()
        manifest = back_up(settings_from(options), options.file)
        took_s, size_bytes = time.monotonic() - began, options.file.stat().st_size
        text = f"{options.file}: {size_bytes / 2**20:.1f} MiB in {took_s:.1f} s\n"
        fields = {"file": str(options.file), "bytes": size_bytes}
        report(manifest, text, fields if options.as_json else None)

    return run_command(work)


if __name__ == "__main__":
    sys.exit(main())
