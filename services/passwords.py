"""Secrets in files, and passwords in addresses of Redis."""

from pathlib import Path
from typing import Final
from urllib.parse import quote, urlsplit, urlunsplit

from services.errors import SettingsError

_LEAST_CHARACTERS: Final = 16


def read_secret(path: Path, what: str) -> str:
    """Return the secret in a file.

    Raises:
        SettingsError: the file cannot be read, or its content is too short or no single line.
    """
    try:
        secret = path.read_text("ascii").strip()
    except (OSError, UnicodeDecodeError) as error:
        raise SettingsError(
            f"the {what} cannot be read from {path} ({type(error).__name__}); write one there, "
            "for example the output of `openssl rand -hex 24`"
        ) from None
    if len(secret) < _LEAST_CHARACTERS or not secret.isprintable() or " " in secret:
        raise SettingsError(
            f"the {what} in {path} is not one line of at least {_LEAST_CHARACTERS} characters; "
            "write the output of `openssl rand -hex 24` there"
        )
    return secret


def with_password(url: str, password: str) -> str:
    """Return an address with this password in the place of its own."""
    parts = urlsplit(url)
    user, host = _userinfo(parts.netloc)
    return urlunsplit(parts._replace(netloc=f"{user.partition(':')[0]}:{quote(password, safe='')}@{host}"))


def has_password(url: str) -> bool:
    """Return True if an address contains a password."""
    return ":" in _userinfo(urlsplit(url).netloc)[0] or "password=" in urlsplit(url).query


def _userinfo(netloc: str) -> tuple[str, str]:
    user, _, host = netloc.rpartition("@")
    return user, host
