"""The models as one user sees them: their own, those shared with everyone, and the service's."""

from collections.abc import Iterable
from dataclasses import dataclass

from services.errors import ConflictError, ModelNotFoundError
from services.models.files import LATEST, ModelStore
from services.models.manifest import Manifest
from services.names import is_model_name, is_name, owner_of
from services.ownership import Ownership
from services.users.authentication import User


@dataclass(frozen=True, slots=True)
class Reference:
    """One version of a model, by its full name and number."""

    model: str
    version: str


@dataclass(frozen=True, slots=True)
class ModelView:
    """The part of a model that a user may see: versions and aliases."""

    name: str
    owner: str | None
    versions: list[str]
    partial_versions: list[str]
    aliases: dict[str, str]
    shared: bool
    shared_versions: list[str]


class Registry(Ownership):
    """Access to models by the rules of ownership and sharing."""

    thing = "model"
    origins = "train one of your own, or upload it under another name"

    def __init__(self, models: ModelStore) -> None:
        super().__init__(models)
        self._models = models

    def find(
        self, user: User, asked: str, version_or_alias: str = LATEST, *, sender: str | None = None
    ) -> Reference:
        """Resolve the name that a user gave to a version.

        `sender` decides whether the candidate of a rollout answers, if the user may use that; for None it does not.

        Raises:
            ModelNotFoundError: there is no such model, version or alias for the user.
        """
        for name in self._meanings(user, asked):
            version = self._models.find(name, version_or_alias, sender)
            if version is not None and self._is_open(user, name, version):
                return Reference(name, version)
            if sender is not None:
                version = self._models.find(name, version_or_alias)
                if version is not None and self._is_open(user, name, version):
                    return Reference(name, version)
            if self._versions(user, name):
                asked = name
                break
        versions = self._versions(user, asked) if is_model_name(asked) else []
        aliases = self._aliases(asked, versions) if versions else {}
        raise _not_found(asked, version_or_alias, versions, aliases, self.names_for(user))

    def manifest(self, reference: Reference) -> Manifest:
        """Return the manifest of a version that was found.

        Raises:
            ModelNotFoundError: it was deleted.
            CheckpointDamagedError: its manifest is damaged.
        """
        return self._models.manifest(reference.model, reference.version)

    def views(self, user: User) -> list[ModelView]:
        """Return the part of each model that a user may see."""
        return [self.look(user, name) for name in self.names_for(user)]

    def look(self, user: User, asked: str) -> ModelView:
        """Return the part of a model that a user may see.

        Raises:
            ModelNotFoundError: there is no such model for the user.
        """
        name = self._seen(user, asked)
        versions, owner = self._versions(user, name), owner_of(name)
        return ModelView(
            name=name,
            owner=owner,
            versions=versions,
            partial_versions=[v for v in versions if self._models.is_partial(name, v)],
            aliases=self._aliases(name, versions),
            shared=owner is None or self._shares.has_all(name),
            shared_versions=[v for v in self._shares.versions(name) if v in versions],
        )

    def version_to_change(self, user: User, asked: str, version_or_alias: str) -> Reference:
        """Return a version of a model that a user may change.

        Raises:
            ModelNotFoundError: there is no such model or version for the user.
            ForbiddenError: the user may only look at it.
        """
        return self.find(user, self.to_change(user, asked), version_or_alias)

    def share(self, user: User, asked: str, version_or_alias: str | None = None) -> ModelView:
        """Let everyone use a model with all its versions, also those to come, or one version.

        Raises:
            ModelNotFoundError: there is no such model or version for the user.
            ForbiddenError: it belongs to another.
            InvalidInputError: it is the service's, which everyone may use.
        """
        name, version = self._version_to_share(user, asked, version_or_alias)
        self._shares.add(name, version)
        return self.look(user, name)

    def unshare(self, user: User, asked: str, version_or_alias: str | None = None) -> ModelView:
        """Stop sharing a model or one version; downloaded copies are not affected.

        Raises:
            ModelNotFoundError: there is no such model or version for the user.
            ForbiddenError: it belongs to another.
            InvalidInputError: it is the service's, which everyone may use.
            ConflictError: one version is asked for and all are shared.
        """
        name, version = self._version_to_share(user, asked, version_or_alias)
        if version and self._shares.has_all(name):
            raise ConflictError(
                f"all versions of {name!r} are shared; unshare the model, then share the versions you mean"
            )
        self._shares.remove(name, version)
        return self.look(user, name)

    def delete(self, user: User, asked: str) -> None:
        """Delete a model with all its versions, aliases and shares.

        Raises:
            ModelNotFoundError: there is no such model for the user.
            ForbiddenError: it belongs to another.
        """
        name = self.to_change(user, asked)
        self._shares.remove(name, None)
        self._models.delete_model(name)

    def _version_to_share(
        self, user: User, asked: str, version_or_alias: str | None
    ) -> tuple[str, str | None]:
        name = self._to_share(user, asked)
        if version_or_alias is None:
            return name, None
        return name, self.find(user, name, version_or_alias).version

    def _missing(self, user: User, asked: str) -> ModelNotFoundError:
        return _not_found(asked, LATEST, [], [], self.names_for(user))

    def _aliases(self, name: str, versions: list[str]) -> dict[str, str]:
        return {
            alias: version for alias, version in self._models.aliases(name).items() if version in versions
        }


def _not_found(
    name: str, version_or_alias: str, versions: list[str], aliases: Iterable[str], names: list[str]
) -> ModelNotFoundError:
    """Return the error for a missing version; the user may see `versions`, `aliases` and `names`."""
    if not is_model_name(name) or not is_name(version_or_alias):
        return ModelNotFoundError(f"{name!r} with {version_or_alias!r} cannot be a model and its version")
    if not versions:
        known = ", ".join(names) or "none yet; submit a training first"
        return ModelNotFoundError(f"there is no model {name!r}; there are: {known}")
    known = ", ".join([*versions, *aliases])
    return ModelNotFoundError(f"model {name!r} has no version or alias {version_or_alias!r}; it has: {known}")
