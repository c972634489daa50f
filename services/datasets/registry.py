"""The data sets as one user sees them: their own, those shared with everyone, and the service's."""

import re
from dataclasses import dataclass
from difflib import get_close_matches
from typing import Final

from services.datasets.files import DatasetStore
from services.datasets.manifest import BUILT_IN, DatasetManifest
from services.errors import DatasetDamagedError, DatasetNotFoundError, InvalidInputError
from services.names import OWNER_SEPARATOR, owner_of
from services.ownership import Ownership
from services.users.authentication import User

REFERENCE_WORDS: Final = "`name`, `name@version` or `name@` and at least 8 hex digits of the sha256"
_SHA256: Final = re.compile(r"[0-9a-f]{8,64}")


@dataclass(frozen=True, slots=True)
class DatasetView:
    """The part of a data set that a user may see."""

    name: str
    owner: str | None
    versions: list[str]
    shared: bool


class DatasetRegistry(Ownership):
    """Access to data sets by the rules of ownership and sharing."""

    thing = "data set"
    origins = "send it under another name"

    def __init__(self, datasets: DatasetStore) -> None:
        super().__init__(datasets)
        self._datasets = datasets

    def find(self, user: User, reference: str) -> DatasetManifest:
        """Return the version that a reference means: `name` (the newest), `name@3`, or `name@` with its sha256's begin.

        Raises:
            DatasetNotFoundError: there is no such data set or version for the user.
            DatasetDamagedError: the manifest of that version is damaged.
        """
        asked, at, version = reference.partition("@")
        name = self._seen(user, asked)
        versions = self._versions(user, name)
        if not at:
            return self._datasets.manifest(name, versions[-1])
        if version in versions:
            return self._datasets.manifest(name, version)
        if _SHA256.fullmatch(version):
            for number in reversed(versions):
                manifest = self._readable(name, number)
                if manifest is not None and manifest.sha256.startswith(version):
                    return manifest
        raise DatasetNotFoundError(
            f"data set {name!r} has no version {version!r}; it has: {', '.join(versions)}"
        )

    def views(self, user: User) -> list[DatasetView]:
        """Return the part of each data set that a user may see."""
        return [self.look(user, name) for name in self.names_for(user)]

    def look(self, user: User, asked: str) -> DatasetView:
        """Return the part of a data set that a user may see.

        Raises:
            DatasetNotFoundError: there is no such data set for the user.
        """
        name = self._seen(user, asked)
        owner = owner_of(name)
        return DatasetView(
            name=name,
            owner=owner,
            versions=self._versions(user, name),
            shared=owner is None or self._shares.has_all(name),
        )

    def to_create(self, user: User, asked: str) -> str:
        """Return the full name of a data set that a user creates, or adds a version to.

        Raises:
            InvalidInputError: the name is one of those that the service brings.
            ForbiddenError: it would be another's.
        """
        if asked.rpartition(OWNER_SEPARATOR)[2] in BUILT_IN:
            raise InvalidInputError(
                f"{asked!r} is a data set that the service brings ({', '.join(sorted(BUILT_IN))}); choose another name"
            )
        return super().to_create(user, asked)

    def share(self, user: User, asked: str) -> DatasetView:
        """Let everyone use a data set with all its versions, also those to come.

        Raises:
            DatasetNotFoundError: there is no such data set for the user.
            ForbiddenError: it belongs to another.
            InvalidInputError: it is the service's, which everyone may use.
        """
        name = self._to_share(user, asked)
        self._shares.add(name, None)
        return self.look(user, name)

    def unshare(self, user: User, asked: str) -> DatasetView:
        """Stop sharing a data set; downloaded copies are not affected.

        Raises:
            DatasetNotFoundError: there is no such data set for the user.
            ForbiddenError: it belongs to another.
            InvalidInputError: it is the service's, which everyone may use.
        """
        name = self._to_share(user, asked)
        self._shares.remove(name, None)
        return self.look(user, name)

    def delete(self, user: User, asked: str) -> None:
        """Delete a data set with all its versions and its share; their numbers are not used again.

        Raises:
            DatasetNotFoundError: there is no such data set for the user.
            ForbiddenError: it belongs to another.
            StorageError: the folder cannot be written.
        """
        name = self.to_change(user, asked)
        self._shares.remove(name, None)
        for version in self._datasets.versions(name):
            self._datasets.delete_version(name, version)

    def delete_version(self, user: User, asked: str, version: str) -> None:
        """Delete a version of a data set.

        Raises:
            DatasetNotFoundError: there is no such data set or version for the user.
            ForbiddenError: it belongs to another.
            StorageError: the folder cannot be written.
        """
        self._datasets.delete_version(self.to_change(user, asked), version)

    def _missing(self, user: User, asked: str) -> DatasetNotFoundError:
        if asked in BUILT_IN:
            return DatasetNotFoundError(
                f"{asked!r} is not stored: the worker brings it, and trainings and evaluations may name it"
            )
        known = [*self.names_for(user), *sorted(BUILT_IN)]
        near = get_close_matches(asked, known, n=3)
        hint = f"; did you mean {' or '.join(map(repr, near))}?" if near else ";"
        return DatasetNotFoundError(f"there is no data set {asked!r}{hint} there are: {', '.join(known)}")

    def _readable(self, name: str, version: str) -> DatasetManifest | None:
        try:
            return self._datasets.manifest(name, version)
        except (DatasetDamagedError, DatasetNotFoundError):
            return None
