"""Names that users give and that become keys and folders: models, aliases, users."""

from typing import Annotated, Final

from pydantic import StringConstraints

NAME_PATTERN: Final = r"^[a-z0-9][a-z0-9._-]{0,63}$"
"""Lower-case letters, digits, dot, underscore and hyphen; no separator, so a name never leaves its folder."""

Name = Annotated[str, StringConstraints(pattern=NAME_PATTERN)]
Alias = Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9._-]{0,63}$")]
"""An alias starts with a letter, so that it is never mistaken for a version number."""
