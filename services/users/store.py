"""Users and their tokens in Redis."""

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from services.errors import ConflictError, UserNotFoundError
from services.names import is_class_name
from services.store import keys
from services.store.connection import Connection
from services.store.scripts import pairs
from services.users.accounts import RESERVED_NAMES, Account, Role, Token, digest_of, new_token, token_id

Changes = Mapping[str, float | str | bool | None]
"""New values of a user's fields, quotas among them; None for a quota lifts the limit."""


@dataclass(frozen=True, slots=True)
class Found:
    """The user of a token; it expires in `left_s` seconds, never if None.

    `teaches` has the codes of the user's classes; `is_paused` is that of the class in which the user is a pupil.
    """

    account: Account
    left_s: float | None
    teaches: frozenset[str] = frozenset()
    is_paused: bool = False


@dataclass(frozen=True, slots=True)
class IssuedToken:
    """A new token, in plain text for the only time."""

    secret: str
    token: Token


class UserStore:
    """Reads and writes users; every change is one atomic step."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def add(
        self,
        name: str,
        role: Role = Role.USER,
        own_quotas: Mapping[str, float | None] | None = None,
        *,
        expires_in_s: float | None = None,
    ) -> tuple[Account, IssuedToken]:
        """Create a user with a first token.

        `own_quotas` are limits by name that differ from the defaults; None lifts one. The token has no end if
        `expires_in_s` is None.

        Raises:
            ConflictError: the name is taken.
        """
        if name in RESERVED_NAMES or is_class_name(name):
            raise ConflictError(f"the name {name!r} belongs to the service itself; choose another")
        fields: Changes = {"role": role, **(own_quotas or {})}
        issued = self._issue(name, "new", expires_in_s, fields)
        if issued is None:
            raise ConflictError(
                f"there is a user {name!r} already; `hxserve users token {name}` gives a new token"
            )
        return self.get(name), issued

    def issue_token(
        self, name: str, *, expires_in_s: float | None = None, revoke: bool = False
    ) -> IssuedToken:
        """Create another token for a user.

        Args:
            name: the user.
            expires_in_s: its life; None for one without end.
            revoke: whether the user's other tokens are void from now on, in the same step.

        Raises:
            UserNotFoundError: there is no such user.
        """
        issued = self._issue(name, "replace" if revoke else "add", expires_in_s, {})
        if issued is None:
            raise _no_user(name)
        return issued

    def _issue(self, name: str, mode: str, expires_in_s: float | None, fields: Changes) -> IssuedToken | None:
        secret = new_token()
        digest = digest_of(secret)
        texts = [text for key, value in fields.items() for text in (key, json.dumps(value))]
        answer = self._connection.run("users/issue_token", name, digest, mode, expires_in_s or 0, *texts)
        return IssuedToken(secret, _token(digest, answer)) if answer else None

    def revoke_tokens(self, name: str, token: str | None = None) -> int:
        """Revoke one token or all tokens of a user; return their number.

        Raises:
            UserNotFoundError: there is no such user.
        """
        revoked: int = self._connection.run("users/revoke_tokens", name, token or "")
        if revoked < 0:
            raise _no_user(name)
        return revoked

    def change(self, name: str, changes: Changes, defaulted: Iterable[str] = ()) -> Account:
        """Change fields of a user; return the user.

        `defaulted` are quotas that are to follow the defaults again.

        Raises:
            UserNotFoundError: there is no such user.
        """
        texts = [text for key, value in changes.items() for text in (key, json.dumps(value))]
        texts += [text for key in defaulted for text in (key, "")]
        if not self._connection.run("users/change_user", name, *texts):
            raise _no_user(name)
        return self.get(name)

    def get(self, name: str) -> Account:
        """Return one user.

        Raises:
            UserNotFoundError: there is none of this name.
        """
        stored: Any = self._connection.client.hgetall(keys.user_key(name)) if ":" not in name else {}
        if not stored:
            raise _no_user(name)
        return Account.from_hash(name, stored)

    def all(self) -> list[Account]:
        """Return all users by name."""
        with self._connection.client.pipeline(transaction=False) as pipeline:
            names: Any = self._connection.client.smembers(keys.USERS)
            ordered = sorted(name.decode() for name in names)
            for name in ordered:
                pipeline.hgetall(keys.user_key(name))
            return [
                Account.from_hash(name, stored)
                for name, stored in zip(ordered, pipeline.execute(), strict=True)
            ]

    def tokens(self, name: str) -> list[Token]:
        """Return the descriptions of a user's tokens, newest first."""
        stored: Any = self._connection.client.hgetall(keys.tokens_of(name))
        found = [_token(digest.decode(), text) for digest, text in stored.items()]
        return sorted(found, key=lambda token: token.created_at, reverse=True)

    def find(self, digest: str) -> Found | None:
        """Return the user whose token has this digest, else None."""
        answer = self._connection.run("users/find_token", digest)
        if not answer:
            return None
        name, stored, token, now, classes, of_class = answer
        ends = [_token(digest, token).expires_at, *(float(until) for until in of_class[:1])]
        left_s = min((end - float(now) for end in ends if end is not None), default=None)
        return Found(
            Account.from_hash(name.decode(), pairs(stored)),
            left_s,
            teaches=frozenset(code.decode() for code in classes),
            is_paused=of_class[1:] == [b"true"],
        )

    def used(self, name: str) -> dict[str, float]:
        """Return the used part of each quota that Redis knows of: chip seconds are those since midnight UTC."""
        queued, waiting, chip_s, kept, corrections = self._connection.run("users/user_load", name)
        return {
            "max_queued_jobs": int(queued),
            "max_waiting_crops": int(waiting),
            "chip_seconds_per_day": float(chip_s),
            "kept_crops": int(kept),
            "open_corrections": int(corrections),
        }


def _token(digest: str, text: bytes) -> Token:
    created_at, expires_at = (float(part) for part in text.split())
    return Token(token_id(digest), created_at, expires_at or None)


def _no_user(name: str) -> UserNotFoundError:
    return UserNotFoundError(f"there is no user {name!r}; see `hxserve users list`")
