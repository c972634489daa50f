"""Ownership of models and data sets: what a user may see, create, change and share, and what a name means.

What belongs to a user is `<owner>~<name>`, what belongs to the service, made by an admin, is `<name>`. A user who says
`digits` means their own `digits` if they have one, else the service's, which is always `service~digits`. What a user
may not see looks like what does not exist.
"""

from abc import ABC, abstractmethod
from typing import ClassVar

from services.errors import ForbiddenError, InvalidInputError, NotFoundError
from services.names import OWNER_SEPARATOR, SERVICE, is_model_name, model_of, owner_of
from services.publication import PublishedVersions
from services.sharing import Shares
from services.users.authentication import User


class Ownership(ABC):
    """Access to what is stored by the rules of ownership and sharing."""

    thing: ClassVar[str]
    """One of these, in messages."""
    origins: ClassVar[str]
    """The ways to get one, in a refusal."""

    def __init__(self, stored: PublishedVersions) -> None:
        self._stored = stored
        self._shares = Shares(stored.folder)

    @abstractmethod
    def _missing(self, user: User, asked: str) -> NotFoundError:
        """Return the error for a name that means nothing to the user."""

    def names(self, user: User) -> list[str]:
        """Return what a user may see, by full names."""
        return [name for name in self._stored.names() if self._versions(user, name)]

    def name_for(self, user: User, name: str) -> str:
        """Return the name by which a user asks for it: `service~digits` if their own `digits` hides it."""
        if user.is_admin or owner_of(name) or not self._versions(user, model_of(user.name, name)):
            return name
        return model_of(SERVICE, name)

    def names_for(self, user: User) -> list[str]:
        """Return what a user may see, by the names by which the user asks for it."""
        return [self.name_for(user, name) for name in self.names(user)]

    def to_create(self, user: User, asked: str) -> str:
        """Return the full name of what a user creates, or adds a version to.

        Raises:
            ForbiddenError: it would be another's.
        """
        owner = owner_of(asked)
        if user.is_admin:
            return asked if owner != SERVICE else _name_in(asked)
        if owner not in {None, user.name}:
            raise ForbiddenError(f"{asked!r} would be a {self.thing} of {owner!r}; {self.origins}")
        return asked if owner else model_of(user.name, asked)

    def to_change(self, user: User, asked: str) -> str:
        """Return the full name of what a user may change.

        Raises:
            NotFoundError: there is no such thing for the user.
            ForbiddenError: the user may only look at it.
        """
        name = self._seen(user, asked)
        owner = owner_of(name)
        if not (user.is_admin or owner == user.name):
            raise ForbiddenError(
                f"the {self.thing} {name!r} belongs to {owner or 'the service'}; "
                "only its owner and admins may change it"
            )
        return name

    def _to_share(self, user: User, asked: str) -> str:
        """Return the full name of what a user may share.

        Raises:
            NotFoundError: there is no such thing for the user.
            ForbiddenError: it belongs to another.
            InvalidInputError: it is the service's, which everyone may use.
        """
        name = self.to_change(user, asked)
        if owner_of(name) is None:
            raise InvalidInputError(f"{name!r} is a {self.thing} of the service, which everyone may use")
        return name

    def _seen(self, user: User, asked: str) -> str:
        """Return the full name of what a user asks for.

        Raises:
            NotFoundError: there is no such thing for the user.
        """
        for name in self._meanings(user, asked):
            if self._versions(user, name):
                return name
        raise self._missing(user, asked)

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

    def _is_open(self, user: User, name: str, version: str) -> bool:
        """Return whether a user may see a version."""
        owner = owner_of(name)
        return owner is None or user.may_see(owner) or self._shares.has(name, version)

    def _versions(self, user: User, name: str) -> list[str]:
        return [version for version in self._stored.versions(name) if self._is_open(user, name, version)]


def _name_in(full: str) -> str:
    """Return a full name without its owner's."""
    return full.rpartition(OWNER_SEPARATOR)[2]
