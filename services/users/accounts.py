"""The account of a user: role, tokens (as digests), own quotas."""

import hashlib
import json
import secrets
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Final, Self

from services.names import SERVICE, Name
from services.users.quotas import QUOTA_NAMES, UNLIMITED, Quotas

RESERVED_NAMES: Final = frozenset({"admin", "system", SERVICE})
"""The bearer of the token file, chip maintenance, and the owner of models that belong to no user."""

_PREFIX: Final = "hxserve_"
_ID_CHARACTERS: Final = 12


class Role(StrEnum):
    """The permissions of a user: their own work, or everything."""

    USER = "user"
    ADMIN = "admin"


@dataclass(frozen=True, slots=True)
class Token:
    """The description of a token, without the token. Times are Unix seconds; one that never expires has no end."""

    id: str
    created_at: float
    expires_at: float | None


@dataclass(frozen=True, slots=True)
class Account:
    """A user as recorded; `own_quotas` are those set by an admin, and None among them lifts a limit.

    With `keep`, crops and answers are kept for correction unless a request says otherwise. Pupils of a class have a
    `nickname`.
    """

    name: Name
    role: Role
    created_at: float
    disabled: bool = False
    keep: bool = False
    nickname: str = ""
    own_quotas: Mapping[str, float | None] = field(default_factory=dict)

    def quotas(self, defaults: Quotas) -> Quotas:
        """Return the limits that hold: the user's own, else the defaults, which bind no admin."""
        return (UNLIMITED if self.role is Role.ADMIN else defaults).with_own(self.own_quotas)

    @classmethod
    def from_hash(cls, name: str, stored: Mapping[bytes, bytes]) -> Self:
        """Return the user as their Redis hash holds them: one JSON text per field."""
        values = {key.decode(): json.loads(text) for key, text in stored.items()}
        return cls(
            name=name,
            role=Role(values["role"]),
            created_at=values["created_at"],
            disabled=values.get("disabled", False),
            keep=values.get("keep", False),
            nickname=values.get("nickname", ""),
            own_quotas={quota: values[quota] for quota in QUOTA_NAMES if quota in values},
        )


def new_token() -> str:
    """Return a new token: 256 random bits after a prefix that scanners for secrets recognise."""
    return _PREFIX + secrets.token_urlsafe(32)


def digest_of(token: str) -> str:
    """Return the digest that is stored of a token.

    A plain SHA-256 is enough: the tokens are random, so there is no dictionary to try them from.
    """
    return hashlib.sha256(token.encode()).hexdigest()


def token_id(digest: str) -> str:
    """Return the public id of a token."""
    return digest[:_ID_CHARACTERS]
