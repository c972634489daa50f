"""Aliases of models: the version that each names, how it came to name it, and its rollout.

models/<name>/aliases/<alias>    one JSON document, replaced in one durable step; files of older services hold a number
models/<name>/aliases/.lock      there while a document is read and replaced
"""

import fcntl
import logging
import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from hashlib import blake2b
from pathlib import Path
from typing import Annotated, Any, Final, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from services.files import storage_errors, write_durably

ALIASES: Final = "aliases"
_LOCK: Final = ".lock"
_MOST_KEPT: Final = 500
"""Changes of an alias that are kept, and versions to roll back to."""
_NO_VERSION: Final = "0"
"""No version has this number."""
_log = logging.getLogger(__name__)

Action = Literal["set", "published", "promoted", "rolled_back", "rollout", "rollout_ended"]


class _Document(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Rollout(_Document):
    """A candidate on trial under an alias.

    `share` of the senders, 0..1, are answered by it, always the same ones. It reads `shadow` of the crops, 0..1, that
    the alias's version has read, in spare chip time. `since` is in Unix seconds.
    """

    candidate: str
    share: Annotated[float, Field(ge=0, le=1)]
    shadow: Annotated[float, Field(ge=0, le=1)]
    user: str
    since: float

    def answers(self, name: str, alias: str, sender: str) -> bool:
        """Return whether the candidate answers a sender: a hash of the names decides, so a larger share keeps all."""
        digest = blake2b(f"{name}\n{alias}\n{sender}".encode(), digest_size=8).digest()
        return int.from_bytes(digest) < self.share * 2**64


class Change(_Document):
    """A change of an alias: from version `before` to `version`; `at` is in Unix seconds.

    `figures` are those of the comparison behind a promotion, or of the rollout.
    """

    at: float
    user: str
    action: Action
    version: str
    before: str | None
    why: str = ""
    figures: dict[str, Any] | None = None


class Alias(_Document):
    """The version that an alias names, the versions to roll back to, its rollout, and its changes, oldest first."""

    version: str
    earlier: tuple[str, ...] = ()
    rollout: Rollout | None = None
    changes: tuple[Change, ...] = ()

    def packed(self) -> bytes:
        """Return the content of the alias's file."""
        return self.model_dump_json(exclude_defaults=True).encode()

    def moved(self, change: Change, earlier: tuple[str, ...]) -> "Alias":
        """Return the alias after a change of its version, which ends a rollout."""
        return Alias(
            version=change.version, earlier=earlier[-_MOST_KEPT:], changes=self._changes_with(change)
        )

    def with_rollout(self, rollout: Rollout | None, change: Change) -> "Alias":
        """Return the alias after its rollout began, changed or ended."""
        return self.model_copy(update={"rollout": rollout, "changes": self._changes_with(change)})

    def _changes_with(self, change: Change) -> tuple[Change, ...]:
        return (*self.changes, change)[-_MOST_KEPT:]


class Aliases:
    """The aliases of all models in a folder."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._root = str(folder)
        self._known: dict[str, tuple[tuple[int, int], Alias]] = {}

    def of(self, name: str) -> dict[str, Alias]:
        """Return the aliases of a model, by name."""
        folder = self._folder / name / ALIASES
        if not folder.is_dir():
            return {}
        names = sorted(path.name for path in folder.iterdir() if not path.name.startswith("."))
        found = ((alias, self.get(name, alias)) for alias in names)
        return {alias: read for alias, read in found if read is not None}

    def get(self, name: str, alias: str) -> Alias | None:
        """Return an alias, None if there is none; its file is read again only after it was replaced.

        Asked for every request, so without `Path`.
        """
        path = f"{self._root}/{name}/{ALIASES}/{alias}"
        try:
            facts = os.stat(path)  # noqa: PTH116 ten times as fast as pathlib
            state = facts.st_ino, facts.st_mtime_ns
            known = self._known.get(path)
            if known is None or known[0] != state:
                known = self._known[path] = state, _parse(Path(path).read_bytes(), path)
        except OSError:
            return None
        return known[1]

    def change(self, name: str, alias: str, change: Callable[[Alias | None], Alias | None]) -> Alias | None:
        """Replace an alias by what `change` makes of it, with no other change in between; None leaves it.

        Raises:
            StorageError: the folder cannot be written; the alias stays.
        """
        path = self._folder / name / ALIASES / alias
        with self._locked(name):
            present = self.get(name, alias)
            changed = change(present)
            if changed is None or changed == present:
                return present
            with storage_errors(path):
                write_durably(path, changed.packed())
        return changed

    def delete(self, name: str, alias: str) -> bool:
        """Delete an alias with its history; return whether there was one."""
        with self._locked(name):
            there = self.get(name, alias) is not None
            (self._folder / name / ALIASES / alias).unlink(missing_ok=True)
        return there

    @contextmanager
    def _locked(self, name: str) -> Iterator[None]:
        """Hold the lock of a model's aliases, a file that is gone afterwards."""
        path = self._folder / name / ALIASES / _LOCK
        with storage_errors(path):
            path.parent.mkdir(parents=True, exist_ok=True)
            lock = _lock(path)
        try:
            yield
        finally:
            path.unlink(missing_ok=True)
            os.close(lock)


def _lock(path: Path) -> int:
    """Return the descriptor of a file that is locked and still in its place: its previous holder removes it."""
    while True:
        lock = os.open(path, os.O_RDWR | os.O_CREAT, 0o666)
        fcntl.flock(lock, fcntl.LOCK_EX)
        with suppress(FileNotFoundError):
            if os.path.samestat(os.fstat(lock), path.stat()):
                return lock
        os.close(lock)


def moved_to(
    version: str, user: str, action: Action, why: str = "", figures: dict[str, Any] | None = None
) -> Callable[[Alias | None], Alias]:
    """Return the change that lets an alias name a version; none if it does already."""

    def change(present: Alias | None) -> Alias:
        if present is not None and present.version == version:
            return present
        before = present.version if present else None
        made = Change(
            at=time.time(), user=user, action=action, version=version, before=before, why=why, figures=figures
        )
        present = present or Alias(version=version)
        return present.moved(made, (*present.earlier, before) if before else ())

    return change


def _parse(content: bytes, path: str) -> Alias:
    if not content.startswith(b"{"):
        return Alias(version=content.decode("ascii", "replace").strip())
    try:
        return Alias.model_validate_json(content)
    except ValidationError as error:
        _log.error("the alias %s is damaged and names no version until it is set again: %s", path, error)
        return Alias(version=_NO_VERSION)
