"""The models as one user sees them: their own, those shared with everyone, and the service's.

A user's model is `<owner>~<name>`, one of the service, trained by an admin, is `<name>`. A user who says `digits` means
their own `digits` if they have one, else the service's, which is always `service~digits`. A model that a user may not
see looks like one that does not exist.
"""

from collections.abc import Iterable
from dataclasses import dataclass

from services.errors import ConflictError, ForbiddenError, InvalidInputError, ModelNotFoundError
from services.models.files import LATEST, ModelStore
from services.models.sharing import Shares
from services.names import OWNER_SEPARATOR, SERVICE, is_model_name, is_name, model_of, owner_of
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


class Registry:
    """Access to models by the rules of ownership and sharing."""

    def __init__(self, models: ModelStore) -> None:
        self._models = models
        self._shares = Shares(models.folder)

    def find(self, user: User, asked: str, version_or_alias: str = LATEST) -> Reference:
        """Resolve the name that a user gave to a version.

        Raises:
            ModelNotFoundError: there is no such model, version or alias for the user.
        """
        for name in self._meanings(user, asked):
            version = self._models.find(name, version_or_alias)
            if version is not None and self._is_open(user, name, version):
                return Reference(name, version)
            if self._versions(user, name):
                asked = name
                break
        versions = self._versions(user, asked) if is_model_name(asked) else []
        aliases = self._aliases(asked, versions) if versions else {}
        raise _not_found(asked, version_or_alias, versions, aliases, self._names_for(user))

    def names(self, user: User) -> list[str]:
        """Return models that a user may see, by their full names."""
        return [name for name in self._models.names() if self._versions(user, name)]

    def views(self, user: User) -> list[ModelView]:
        """Return the part of each model that a user may see."""
        return [self.look(user, self.name_for(user, name)) for name in self.names(user)]

    def name_for(self, user: User, model: str) -> str:
        """Return the name by which a user asks for a model: `service~digits` if their own `digits` hides it."""
        if user.is_admin or owner_of(model) or not self._versions(user, model_of(user.name, model)):
            return model
        return model_of(SERVICE, model)

    def look(self, user: User, asked: str) -> ModelView:
        """Return the part of a model that a user may see.

        Raises:
            ModelNotFoundError: there is no such model for the user.
        """
        for name in self._meanings(user, asked):
            versions = self._versions(user, name)
            if versions:
                owner = owner_of(name)
                return ModelView(
                    name=name,
                    owner=owner,
                    versions=versions,
                    partial_versions=[v for v in versions if self._models.is_partial(name, v)],
                    aliases=self._aliases(name, versions),
                    shared=owner is None or self._shares.has_all(name),
                    shared_versions=[v for v in self._shares.versions(name) if v in versions],
                )
        raise _not_found(asked, LATEST, [], [], self._names_for(user))

    def to_train(self, user: User, asked: str) -> str:
        """Return the full name of the model that a training or an upload creates or continues.

        Raises:
            ForbiddenError: it would be another's.
        """
        owner = owner_of(asked)
        if user.is_admin:
            return asked if owner != SERVICE else _name_in(asked)
        if owner not in {None, user.name}:
            raise ForbiddenError(
                f"{asked!r} would be a model of {owner!r}; train one of your own, or upload it under another name"
            )
        return asked if owner else model_of(user.name, asked)

    def to_change(self, user: User, asked: str) -> str:
        """Return the full name of a model that a user may change.

        Raises:
            ModelNotFoundError: there is no such model for the user.
            ForbiddenError: the user may only look at it.
        """
        view = self.look(user, asked)
        if not (user.is_admin or view.owner == user.name):
            raise ForbiddenError(
                f"the model {view.name!r} belongs to {view.owner or 'the service'}; "
                "only its owner and admins may change it"
            )
        return view.name

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
        name, version = self._to_share(user, asked, version_or_alias)
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
        name, version = self._to_share(user, asked, version_or_alias)
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

    def _to_share(self, user: User, asked: str, version_or_alias: str | None) -> tuple[str, str | None]:
        name = self.to_change(user, asked)
        if owner_of(name) is None:
            raise InvalidInputError(f"{name!r} is a model of the service, which everyone may use")
        if version_or_alias is None:
            return name, None
        return name, self.find(user, name, version_or_alias).version

    def _meanings(self, user: User, asked: str) -> list[str]:
        """Return the candidates for a name; the first that exists counts."""
        if not is_model_name(asked):
            return []
        owner = owner_of(asked)
        if owner == SERVICE:
            return [_name_in(asked)]
        if user.is_admin or owner:
            return [asked]
        return [model_of(user.name, asked), asked]

    def _names_for(self, user: User) -> list[str]:
        return [self.name_for(user, name) for name in self.names(user)]

    def _is_open(self, user: User, name: str, version: str) -> bool:
        owner = owner_of(name)
        return owner is None or user.may_see(owner) or self._shares.has(name, version)

    def _versions(self, user: User, name: str) -> list[str]:
        return [version for version in self._models.versions(name) if self._is_open(user, name, version)]

    def _aliases(self, name: str, versions: list[str]) -> dict[str, str]:
        return {
            alias: version for alias, version in self._models.aliases(name).items() if version in versions
        }


def _name_in(model: str) -> str:
    """Return the name of a model without its owner's."""
    return model.rpartition(OWNER_SEPARATOR)[2]


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
