"""Who may do what: bearer tokens and the users they stand for."""

import hashlib
import hmac
import os
import secrets
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from services.errors import NotAuthenticatedError, SettingsError
from services.names import Name

_LEAST_TOKEN_CHARACTERS: Final = 16


@dataclass(frozen=True, slots=True)
class User:
    """Somebody whose work the chip does."""

    name: Name
    is_admin: bool = False


ADMIN: Final = User("admin", is_admin=True)
SYSTEM: Final = User("system")
"""The chip's own care is done in this name."""


class Tokens:
    """The tokens this service knows; for now the admin's, kept as a hash."""

    def __init__(self, admin_token: str) -> None:
        self._admin_digest = _digest(admin_token)

    def user_of(self, token: str | None) -> User:
        """The user a token stands for, found in a time that does not depend on the token.

        Raises:
            NotAuthenticatedError: there is no token or it is not known.
        """
        if token and hmac.compare_digest(_digest(token), self._admin_digest):
            return ADMIN
        raise NotAuthenticatedError


def read_admin_token(path: Path) -> str:
    """The admin's token from its file.

    Raises:
        SettingsError: the file is missing or holds no token.
    """
    try:
        token = path.read_text("ascii").strip()
    except (OSError, UnicodeDecodeError) as error:
        raise SettingsError(
            f"the admin token cannot be read from {path} ({error}); write one there "
            "(for example the output of `openssl rand -hex 24`) or set HXSERVE_ADMIN_TOKEN_FILE"
        ) from None
    if len(token) < _LEAST_TOKEN_CHARACTERS:
        raise SettingsError(f"the admin token in {path} is shorter than {_LEAST_TOKEN_CHARACTERS} characters")
    return token


def ensure_admin_token(path: Path) -> str:
    """The admin's token from its file, which is made, readable by its owner alone, when there is none."""
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "w") as file:
            file.write(secrets.token_urlsafe(24) + "\n")
    return read_admin_token(path)


def _digest(token: str) -> bytes:
    return hashlib.sha256(token.encode()).digest()
