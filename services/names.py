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

CLASS_ALPHABET: Final = "23456789abcdefghjkmnpqrstuvwxyz"
"""The characters of a class's code: none is mistaken for another, on a projector or spoken."""

CLASS_CODE_LENGTH: Final = 6
_CLASS: Final = re.compile(f"class-([{CLASS_ALPHABET}]{{{CLASS_CODE_LENGTH}}})(?:\\.(.+))?")
"""The name of a class's group, `class-<code>`, and of a pupil's account in it, `class-<code>.<seat>`."""

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


def group_of(user: str) -> str:
    """Return the name under which a user shares the chip with others: that of a pupil's class, else the user's own.

    `group_of` in `services/store/prelude.lua` is the same rule.
    """
    group, dot, _ = user.partition(".")
    return group if dot and _CLASS.fullmatch(user) else user


def class_of(user: str) -> str | None:
    """Return the code of the class in which a user is a pupil."""
    found = _CLASS.fullmatch(user)
    return found[1] if found and found[2] else None


def group_name(code: str) -> str:
    """Return the name of the group of a class."""
    return f"class-{code}"


def account_of(code: str, seat: str) -> str:
    """Return the name of the account of a seat in a class."""
    return f"{group_name(code)}.{seat}"


def is_class_name(user: str) -> bool:
    """Return whether a name is kept for a class or its pupils."""
    return _CLASS.fullmatch(user) is not None


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
