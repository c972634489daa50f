"""Which files of a data folder belong into a backup, read while the service goes on writing.

Whatever is published there is published by a rename, so a file that is open is whole. The records are taken first: all
that they speak of is in the folder by then. What was deleted since is left out with everything that belongs to it.
"""

import os
from contextlib import ExitStack
from pathlib import Path
from typing import IO

from deploy.archive import ArchiveWriter
from services.errors import StorageError
from services.models.files import ModelStore
from services.settings import Settings


class Contents:
    """Puts the files of a service into an archive; keeps `links`, `folders` and `counts` for its manifest."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self.links: dict[str, str] = {}
        self.folders: list[str] = []
        self.counts = {"models": 0, "versions": 0, "saves": 0, "calibrations": 0}

    def write(self, archive: ArchiveWriter) -> None:
        """Adds everything."""
        self._add_saves(archive)
        self._add_models(archive)
        self._add_calibrations(archive)

    def _add_saves(self, archive: ArchiveWriter) -> None:
        """States of unfinished trainings. Which job a worker was at is left out: it did not die of it."""
        for path in sorted(self._settings.saves_dir.glob("*.safetensors")):
            if not path.name.startswith("."):
                self.counts["saves"] += _add_together(archive, "saves", [path], self._settings.saves_dir)

    def _add_models(self, archive: ArchiveWriter) -> None:
        store = ModelStore(self._settings.models_dir)
        for name in store.names():
            folder, within = store.folder / name, f"models/{name}"
            aliases = store.aliases(name)
            versions = [
                version
                for version in store.versions(name)
                if _add_together(archive, within, _files(folder / version), folder)
            ]
            for alias, version in aliases.items():
                if version in versions:
                    _add_together(archive, within, [folder / "aliases" / alias], folder)
            for mark in _files(folder / "shared"):
                _add_together(archive, within, [mark], folder)
            self.counts["models"] += bool(versions)
            self.counts["versions"] += len(versions)
        # Also of models that have no version left: a number never means two things.
        for tombstone in sorted(store.folder.glob("*/.deleted/*")):
            self.folders.append(f"models/{tombstone.relative_to(store.folder).as_posix()}")

    def _add_calibrations(self, archive: ArchiveWriter) -> None:
        root = self._settings.calibrations_dir
        for stable in sorted(root.glob("*/stable")):
            kept = [
                folder.name
                for folder in sorted(stable.iterdir())
                if folder.is_dir() and not folder.is_symlink() and not folder.name.startswith(".")
                if _is_calibration(files := _files(folder))
                and _add_together(archive, "calibrations", files, root)
            ]
            self.counts["calibrations"] += len(kept)
            latest = stable / "latest"
            if latest.is_symlink() and (meant := str(latest.readlink())) in kept:
                self.links[f"calibrations/{latest.relative_to(root).as_posix()}"] = meant


def _is_calibration(files: list[Path]) -> bool:
    """Whether a calibration is among the files; of one that is being removed perhaps only its canary is left."""
    return any(path.name.startswith("hagen_cocolist.") for path in files)


def _files(folder: Path) -> list[Path]:
    """The files in a folder, without those that are being written."""
    try:
        return sorted(path for path in folder.iterdir() if path.is_file() and not path.name.startswith("."))
    except FileNotFoundError:
        return []


def _add_together(archive: ArchiveWriter, within: str, paths: list[Path], root: Path) -> bool:
    """Adds files that belong together, or none if one of them is gone; says whether it did."""
    with ExitStack() as stack:
        try:
            files = [stack.enter_context(path.open("rb")) for path in paths]
        except FileNotFoundError:
            return False
        except OSError as error:
            raise StorageError(
                f"{error.filename} cannot be read ({error.strerror}); run this as the user that the service runs as"
            ) from None
        for path, file in zip(paths, files, strict=True):
            archive.add(f"{within}/{path.relative_to(root).as_posix()}", file, _size(file))
    return bool(paths)


def _size(file: IO[bytes]) -> int:
    return os.fstat(file.fileno()).st_size
