"""Names that users give and that become keys and folders: models, aliases, users."""

import re
from typing import Annotated, Final

from pydantic import StringConstraints

NAME_PATTERN: Final = r"^[a-z0-9][a-z0-9._-]{0,63}$"
"""Lower-case letters, digits, dot, underscore and hyphen; no separator, so a name never leaves its folder."""

Name = Annotated[str, StringConstraints(pattern=NAME_PATTERN)]
_NAME: Final = re.compile(NAME_PATTERN.strip("^$"))
_ALIAS: Final = re.compile(r"[a-z][a-z0-9._-]{0,63}")


def is_alias(text: str) -> bool:
    """Whether this can be an alias: it starts with a letter, so that it is never mistaken for a version."""
    return _ALIAS.fullmatch(text) is not None


def is_name(text: str) -> bool:
    """Whether this can be a name."""
    return _NAME.fullmatch(text) is not None
