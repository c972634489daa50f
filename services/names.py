"""Names given by users that become keys and folders: models, aliases, users."""

import re
from typing import Annotated, Final

from pydantic import StringConstraints

NAME_PATTERN: Final = r"^[a-z0-9][a-z0-9._-]{0,63}$"
"""Lower-case letters, digits, dot, underscore and hyphen; no separator, so a name never leaves its folder."""

NAME_WORDS: Final = "up to 64 of a-z, 0-9, '.', '_' and '-', beginning with a letter or a digit"
"""The pattern as a person reads it."""

Name = Annotated[str, StringConstraints(pattern=NAME_PATTERN)]

OWNER_SEPARATOR: Final = "~"
SERVICE: Final = "service"
"""The owner in a name that always means the service's model, `service~digits`; no user has this name."""

_ONE_NAME: Final = NAME_PATTERN.strip("^$")
MODEL_PATTERN: Final = f"^({_ONE_NAME}{OWNER_SEPARATOR})?{_ONE_NAME}$"
"""A name, behind the owner's when it is a user's model and not one of the service: `ada~digits`."""

ModelName = Annotated[str, StringConstraints(pattern=MODEL_PATTERN)]
_NAME: Final = re.compile(_ONE_NAME)
_MODEL: Final = re.compile(MODEL_PATTERN.strip("^$"))
_ALIAS: Final = re.compile(r"[a-z][a-z0-9._-]{0,63}")


def is_alias(text: str) -> bool:
    """Return whether this can be an alias: it starts with a letter, so that it is never mistaken for a version."""
    return _ALIAS.fullmatch(text) is not None


def is_name(text: str) -> bool:
    """Return whether this can be a name."""
    return _NAME.fullmatch(text) is not None


def is_model_name(text: str) -> bool:
    """Return whether this can be the name of a model."""
    return _MODEL.fullmatch(text) is not None


def owner_of(model: str) -> str | None:
    """Return the user a model belongs to; None when it is the service's."""
    owner, separator, _ = model.partition(OWNER_SEPARATOR)
    return owner if separator else None


def model_of(owner: str, name: str) -> str:
    """Return the name of a user's model in full."""
    return f"{owner}{OWNER_SEPARATOR}{name}"
