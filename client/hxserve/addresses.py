"""Address of the service, and its token."""

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, Self
from urllib.parse import parse_qs, urlsplit, urlunsplit

from hxserve.errors import AddressError

URL_VARIABLE: Final = "HXSERVE_URL"
TOKEN_VARIABLE: Final = "HXSERVE_TOKEN"  # noqa: S105 - the name of a variable, not a token
DATA_DIR_VARIABLE: Final = "HXSERVE_DATA_DIR"
DEFAULT_DATA_DIR: Final = "data"


@dataclass(frozen=True, slots=True)
class Address:
    """A service's base URL without a slash at its end, and the token to show there."""

    url: str
    token: str | None = field(default=None, repr=False)

    @classmethod
    def parse(cls, text: str) -> Self:
        """Parse an address as users type it, also the form `http://host:port/?token=...` that `up` prints.

        Raises:
            AddressError: it is not an address of http or https.
        """
        try:
            parts = urlsplit(text.strip())
            port = parts.port
        except ValueError as error:
            raise AddressError(f"{text!r} is not an address: {error}") from None
        if parts.scheme not in {"http", "https"} or not parts.hostname or port == 0:
            raise AddressError(f"{text!r} is not an address of a service; it looks like http://host:port")
        token = parse_qs(parts.query).get("token", [None])[0]
        return cls(urlunsplit((parts.scheme, parts.netloc, parts.path.rstrip("/"), "", "")), token)


def find_address(
    url: str | None = None,
    token: str | None = None,
    data_dir: str | os.PathLike[str] | None = None,
    environment: Mapping[str, str] = os.environ,
) -> Address:
    """Return the address to use: the given one, else the environment's, else that of the usual data folder.

    A token from a data folder is shown only to the service that wrote it there.

    Raises:
        AddressError: none of them says where the service is.
    """
    folder = Path(data_dir or environment.get(DATA_DIR_VARIABLE) or DEFAULT_DATA_DIR)
    named = url or (None if data_dir else environment.get(URL_VARIABLE))
    given = token or (None if data_dir and not url else environment.get(TOKEN_VARIABLE))
    local = _read_data_dir(folder)
    if named:
        address = Address.parse(named)
        own = local.token if local and local.url == address.url else None
        return Address(address.url, token or address.token or given or own)
    if local is None:
        raise AddressError(
            f"no service was started with the data folder {str(folder)!r} (it has no file `url`); "
            f"start one with `hxserve up`, or name one with --url or {URL_VARIABLE}"
        )
    return Address(local.url, given or local.token)


def _read_data_dir(folder: Path) -> Address | None:
    """Return the address and token in the data folder of a service on this machine, if there is one."""
    try:
        address = Address.parse((folder / "url").read_text("utf-8"))
        token_file = folder / "admin-token"
        if address.token or not token_file.exists():
            return address
        return Address(address.url, token_file.read_text("utf-8").strip())
    except FileNotFoundError:
        return None
    except (OSError, UnicodeDecodeError) as error:
        raise AddressError(f"the data folder {str(folder)!r} cannot be read: {error}") from None
