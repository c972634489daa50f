"""The registry of models: checkpoints as files, published whole or not at all.

models/<name>/<version>/weights.safetensors    the weights
models/<name>/<version>/manifest.json          their description
models/<name>/aliases/...                      what names versions: services/models/aliases.py
models/<name>/shared/...                       what is shared: services/sharing.py
models/<name>/.deleted/<version>               so that a number never means two things
"""

import hashlib
import os
import time
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
from services.explanations import explain
from services.files import storage_errors
from services.models.aliases import Alias, Aliases, moved_to
from services.models.manifest import Manifest, Origin
from services.names import SERVICE, is_alias, is_model_name, is_name
from services.publication import MANIFEST, PublishedVersions, delete_published, publish_next

LATEST: Final = "latest"
WEIGHTS: Final = "weights.safetensors"


class ModelStore(PublishedVersions):
    """Models, their versions and aliases."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self._root = str(folder)
        self.alias_files: Final = Aliases(folder)
        self._partial: dict[Path, tuple[tuple[int, int], bool]] = {}

    def aliases(self, name: str) -> dict[str, str]:
        """Return versions by alias."""
        if not is_model_name(name):
            return {}
        return {alias: read.version for alias, read in self.alias_files.of(name).items()}

    def find(self, name: str, version_or_alias: str, sender: str | None = None) -> str | None:
        """Resolve a number or an alias to a version number; None if there is no such version.

        An alias with a rollout names the candidate for some senders; for None it does not. Asked for every request, so
        without `Path`.
        """
        if not is_model_name(name) or not is_name(version_or_alias):
            return None
        version = version_or_alias
        if not version.isdecimal():
            alias = self.alias_files.get(name, version_or_alias)
            if alias is None:
                return None
            version, rollout = alias.version, alias.rollout
            if rollout and sender is not None and rollout.answers(name, version_or_alias, sender):
                version = rollout.candidate
        there = os.path.isfile(f"{self._root}/{name}/{version}/{MANIFEST}")  # noqa: PTH113 see above
        return version if there else None

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
        folder = self._folder / origin.name
        with storage_errors(folder):
            (folder / "aliases").mkdir(parents=True, exist_ok=True)
        manifest = publish_next(
            folder,
            {WEIGHTS: weights},
            lambda version: Manifest(
                **origin.model_dump(),
                version=version,
                created_at=time.time(),
                weights_bytes=len(weights),
                weights_sha256=hashlib.sha256(weights).hexdigest(),
            ),
        )
        self._let_latest_mean(manifest)
        return manifest

    def _let_latest_mean(self, manifest: Manifest) -> None:
        """Move `latest` forward to a whole version, also if the previous attempt was interrupted."""
        move = moved_to(manifest.version, manifest.user, "published")

        def forward(present: Alias | None) -> Alias | None:
            return move(present) if present is None or int(manifest.version) > int(present.version) else None

        if not manifest.partial:
            with suppress(ModelNotFoundError):  # a user deleted the version the moment it appeared
                self.manifest(manifest.name, manifest.version)
                self.alias_files.change(manifest.name, LATEST, forward)

    def set_alias(self, name: str, alias: str, version: str, *, user: str = SERVICE, why: str = "") -> None:
        """Set an alias to a version; `user` and `why` are for its history.

        Raises:
            InvalidInputError: it cannot be an alias.
            ModelNotFoundError: there is no such version.
        """
        if not is_alias(alias):
            raise InvalidInputError(
                f"{alias!r} cannot be an alias; use up to 64 of a-z, 0-9, '.', '_' and '-', beginning with a letter"
            )
        self.manifest(name, version)
        self.alias_files.change(name, alias, moved_to(version, user, "set", why))

    def delete_alias(self, name: str, alias: str) -> None:
        """Remove an alias with its history; its version stays.

        Raises:
            ModelNotFoundError: there is no such alias.
        """
        if alias not in self.aliases(name) or not self.alias_files.delete(name, alias):
            raise ModelNotFoundError(f"model {name!r} has no alias {alias!r}")

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

    def delete_version(self, name: str, version: str, *, user: str = SERVICE) -> None:
        """Delete a version, whole or damaged; `latest` moves to the newest one left that is not partial.

        Raises:
            ModelNotFoundError: there is no such version.
            ConflictError: an alias set by a user names it, or it is the candidate of a rollout.
        """
        if version not in self.versions(name):
            raise ModelNotFoundError(f"model {name!r} has no version {version!r}")
        aliases = self.aliases(name)
        holding = [alias for alias, meant in aliases.items() if meant == version and alias != LATEST]
        if holding:
            raise ConflictError(
                f"{name}@{version} is what {', '.join(holding)} means; move or delete the alias first"
            )
        tried = [
            alias
            for alias, read in self.alias_files.of(name).items()
            if read.rollout and read.rollout.candidate == version
        ]
        if tried:
            raise ConflictError(
                f"{name}@{version} is the candidate of the rollout of {', '.join(tried)}; end the rollout first"
            )
        folder = self._folder / name
        with storage_errors(folder):
            if aliases.get(LATEST) == version:
                left = (m for m in self._readable(name) if m.version != version and not m.partial)
                newest = next(left, None)
                if newest:
                    why = f"version {version} was deleted"
                    self.set_alias(name, LATEST, newest.version, user=user, why=why)
                else:
                    self.delete_alias(name, LATEST)
        delete_published(folder, version)

    def _readable(self, name: str) -> Iterator[Manifest]:
        """Return the manifests of a model, newest first, without damaged versions."""
        for version in reversed(self.versions(name)):
            with suppress(CheckpointDamagedError, ModelNotFoundError):
                yield self.manifest(name, version)
