"""The registry of models: checkpoints as files, published whole or not at all.

models/<name>/<version>/weights.safetensors    the weights
models/<name>/<version>/manifest.json          their description
models/<name>/aliases/<alias>                  a version's number
models/<name>/shared/...                       what is shared: services/models/sharing.py
models/<name>/.deleted/<version>               so that a number never means two things
"""

import hashlib
import os
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Final

from pydantic import ValidationError

from services.errors import (
    CheckpointDamagedError,
    ConflictError,
    InvalidInputError,
    ModelNotFoundError,
)
from services.files import storage_errors, write_durably
from services.jobs.params import explain
from services.models.manifest import Manifest, Origin
from services.models.publication import MANIFEST, WEIGHTS, numbers_in, publish_next
from services.names import is_alias, is_model_name, is_name

LATEST: Final = "latest"


class ModelStore:
    """Models, their versions and aliases, in one folder that API and worker share."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._root = str(folder)
        self._meanings: dict[str, tuple[tuple[int, int], str]] = {}
        self._partial: dict[Path, tuple[tuple[int, int], bool]] = {}

    @property
    def folder(self) -> Path:
        """Where the models are."""
        return self._folder

    def names(self) -> list[str]:
        """Return models that have a version, by name."""
        if not self._folder.is_dir():
            return []
        return sorted(
            path.name
            for path in self._folder.iterdir()
            if is_model_name(path.name) and self.versions(path.name)
        )

    def versions(self, name: str) -> list[str]:
        """Return version numbers of a model, oldest first; none when there is no such model."""
        return (
            [str(number) for number in sorted(numbers_in(self._folder / name))] if is_model_name(name) else []
        )

    def aliases(self, name: str) -> dict[str, str]:
        """Return versions by alias."""
        folder = self._folder / name / "aliases"
        if not is_model_name(name) or not folder.is_dir():
            return {}
        return {
            path.name: path.read_text("ascii").strip()
            for path in sorted(folder.iterdir())
            if not path.name.startswith(".")
        }

    def find(self, name: str, version_or_alias: str) -> str | None:
        """Resolve a number or an alias to a version number; None if there is no such version.

        Asked for every request, so without `Path`.
        """
        if not is_model_name(name) or not is_name(version_or_alias):
            return None
        version = version_or_alias
        if not version.isdecimal():
            try:
                version = self._meaning_of(f"{self._root}/{name}/aliases/{version}")
            except OSError:
                return None
        there = os.path.isfile(f"{self._root}/{name}/{version}/{MANIFEST}")  # noqa: PTH113 see above
        return version if there else None

    def _meaning_of(self, alias: str) -> str:
        """Return the version that an alias's file names; it is read again only after the file was replaced.

        Raises:
            OSError: there is no such alias.
        """
        facts = os.stat(alias)  # noqa: PTH116 ten times as fast as pathlib
        state = facts.st_ino, facts.st_mtime_ns
        known = self._meanings.get(alias)
        if known is None or known[0] != state:
            known = self._meanings[alias] = state, Path(alias).read_text("ascii").strip()
        return known[1]

    def manifest(self, name: str, version: str) -> Manifest:
        """Return the manifest of a version.

        Raises:
            ModelNotFoundError: there is no such version.
            CheckpointDamagedError: the file is not a manifest of ours.
        """
        path = self._folder / name / version / MANIFEST
        try:
            return Manifest.model_validate_json(path.read_bytes())
        except FileNotFoundError:
            raise ModelNotFoundError(f"model {name!r} has no version {version!r}") from None
        except OSError as error:
            raise CheckpointDamagedError(
                f"the manifest of {name}@{version} cannot be read ({error.strerror}); "
                "restore the version's folder from a backup or train again"
            ) from None
        except ValidationError as error:
            raise CheckpointDamagedError(
                f"the manifest of {name}@{version} is not one of hxserve ({explain(error, Manifest)}); "
                "restore the version's folder from a backup or train again"
            ) from None

    def is_partial(self, name: str, version: str) -> bool:
        """Return whether a version is what a cancelled training had learnt; False if its manifest is damaged."""
        path = self._folder / name / version / MANIFEST
        try:
            facts = path.stat()
            state = facts.st_ino, facts.st_mtime_ns
            known = self._partial.get(path)
            if known is None or known[0] != state:
                known = self._partial[path] = state, self.manifest(name, version).partial
        except (OSError, CheckpointDamagedError, ModelNotFoundError):
            return False
        return known[1]

    def weights_path(self, name: str, version: str) -> Path:
        """Return the path of a version's weights."""
        return self._folder / name / version / WEIGHTS

    def weights(self, name: str, version: str) -> bytes:
        """Return a version's weights, checked against the manifest.

        Raises:
            ModelNotFoundError: there is no such version.
            CheckpointDamagedError: the bytes are not those that were published.
        """
        manifest = self.manifest(name, version)
        try:
            weights = self.weights_path(name, version).read_bytes()
        except OSError as error:
            raise CheckpointDamagedError(
                f"the weights of {name}@{version} cannot be read ({error.strerror}); "
                "restore the version's folder from a backup or train again"
            ) from None
        digest = hashlib.sha256(weights).hexdigest()
        if digest != manifest.weights_sha256:
            raise CheckpointDamagedError(
                f"the weights of {name}@{version} are damaged: sha256 is {digest[:12]}…, the manifest says "
                f"{manifest.weights_sha256[:12]}…; restore the version's folder from a backup or train again"
            )
        return weights

    def publish(self, origin: Origin, weights: bytes) -> Manifest:
        """Publish a new version and move `latest` to it; a job publishes once, however often it tries.

        Raises:
            StorageError: the folder cannot be written; nothing is published.
        """
        for published in self._readable(origin.name):
            if published.job == origin.job:
                self._let_latest_mean(published)
                return published
        manifest = publish_next(self._folder / origin.name, origin, weights)
        self._let_latest_mean(manifest)
        return manifest

    def _let_latest_mean(self, manifest: Manifest) -> None:
        """Move `latest` forward to a whole version, also if the previous attempt was interrupted."""
        present = self.aliases(manifest.name).get(LATEST, "0")
        if not manifest.partial and int(manifest.version) > int(present):
            with suppress(ModelNotFoundError):  # a user deleted the version the moment it appeared
                self.set_alias(manifest.name, LATEST, manifest.version)

    def set_alias(self, name: str, alias: str, version: str) -> None:
        """Set an alias to a version.

        Raises:
            InvalidInputError: it cannot be an alias.
            ModelNotFoundError: there is no such version.
        """
        if not is_alias(alias):
            raise InvalidInputError(
                f"{alias!r} cannot be an alias; use up to 64 of a-z, 0-9, '.', '_' and '-', beginning with a letter"
            )
        self.manifest(name, version)
        path = self._folder / name / "aliases" / alias
        with storage_errors(path):
            write_durably(path, version.encode())

    def delete_alias(self, name: str, alias: str) -> None:
        """Remove an alias; its version stays.

        Raises:
            ModelNotFoundError: there is no such alias.
        """
        if alias not in self.aliases(name):
            raise ModelNotFoundError(f"model {name!r} has no alias {alias!r}")
        (self._folder / name / "aliases" / alias).unlink(missing_ok=True)

    def delete_model(self, name: str) -> None:
        """Delete a model with all its versions and aliases; their numbers are not used again.

        Raises:
            ModelNotFoundError: there is no such model.
        """
        if not self.versions(name):
            raise ModelNotFoundError(f"there is no model {name!r}")
        for alias in self.aliases(name):
            self.delete_alias(name, alias)
        for version in self.versions(name):
            self.delete_version(name, version)

    def delete_version(self, name: str, version: str) -> None:
        """Delete a version, whole or damaged; `latest` moves to the newest one left that is not partial.

        Raises:
            ModelNotFoundError: there is no such version.
            ConflictError: an alias set by a user names it.
        """
        if version not in self.versions(name):
            raise ModelNotFoundError(f"model {name!r} has no version {version!r}")
        aliases = self.aliases(name)
        holding = [alias for alias, meant in aliases.items() if meant == version and alias != LATEST]
        if holding:
            raise ConflictError(
                f"{name}@{version} is what {', '.join(holding)} means; move or delete the alias first"
            )
        folder = self._folder / name
        with storage_errors(folder):
            if aliases.get(LATEST) == version:
                left = (m for m in self._readable(name) if m.version != version and not m.partial)
                newest = next(left, None)
                if newest:
                    self.set_alias(name, LATEST, newest.version)
                else:
                    self.delete_alias(name, LATEST)
            tombstone = folder / ".deleted" / version
            tombstone.parent.mkdir(exist_ok=True)
            (folder / version).rename(tombstone)
            for path in tombstone.iterdir():
                path.unlink()

    def _readable(self, name: str) -> Iterator[Manifest]:
        """Return the manifests of a model, newest first, without damaged versions."""
        for version in reversed(self.versions(name)):
            with suppress(CheckpointDamagedError, ModelNotFoundError):
                yield self.manifest(name, version)
