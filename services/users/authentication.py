"""Authentication: bearer tokens and their users."""

import hmac
import os
import secrets
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from services.errors import ClassPausedError, NotAuthenticatedError
from services.names import Name, class_of
from services.passwords import read_secret
from services.users.accounts import Role, digest_of
from services.users.quotas import UNLIMITED, Quotas
from services.users.store import Found, UserStore

LONGEST_MEMORY_S: Final = 1.0
"""The longest time for which a process still accepts the token of a disabled user, or a revoked one."""

_MOST_REMEMBERED: Final = 10_000


@dataclass(frozen=True, slots=True)
class User:
    """An authenticated user; `keep` is the user's choice for requests that do not say it.

    A pupil of a class has a `nickname`, and submits nothing while the class is paused. `teaches` has the codes of the
    classes that a user teaches.
    """

    name: Name
    is_admin: bool = False
    quotas: Quotas = UNLIMITED
    keep: bool = False
    nickname: str = ""
    is_paused: bool = False
    teaches: frozenset[str] = frozenset()

    def may_see(self, owner: str) -> bool:
        """Return whether this user may see things of `owner`, and cancel jobs."""
        return self.is_admin or owner == self.name or (bool(self.teaches) and class_of(owner) in self.teaches)

    def check_not_paused(self) -> None:
        """Raise ClassPausedError for a pupil whose class is paused."""
        if self.is_paused:
            raise ClassPausedError


ADMIN: Final = User("admin", is_admin=True)
SYSTEM: Final = User("system")
"""The user of chip maintenance."""


@dataclass(frozen=True, slots=True)
class _Remembered:
    """The cached result of a token until `until` (monotonic): its user, or the reason of the refusal."""

    user: User | None
    reason: str | None
    until: float


class Tokens:
    """The known tokens: the admin's from its file, those of users from the store.

    A token is looked up by its digest. The time of that may reveal something about known digests, but a digest
    does not lead to a token, so the time reveals nothing of use. Results are cached for a second, so that
    requests in volume cost no round trip to Redis.
    """

    def __init__(
        self,
        admin_token: str,
        store: UserStore | None = None,
        defaults: Quotas = UNLIMITED,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._admin_digest = digest_of(admin_token)
        self._store = store
        self._defaults = defaults
        self._clock = clock
        self._remembered: dict[str, _Remembered] = {}

    def user_of(self, token: str | None) -> User:
        """Return the user a token stands for.

        Raises:
            NotAuthenticatedError: there is no token, it is not known or has expired, or its user is disabled.
            RedisUnavailableError: the user cannot be looked up.
        """
        if not token:
            raise NotAuthenticatedError
        return self.user_of_digest(digest_of(token))

    def known_user(self, token: str) -> User | None:
        """Return the user of a token if that is known without a request to Redis."""
        digest = digest_of(token)
        if hmac.compare_digest(digest, self._admin_digest):
            return ADMIN
        known = self._remembered.get(digest)
        return known.user if known is not None and known.until > self._clock() else None

    def user_of_digest(self, digest: str) -> User:
        """Return the user whose token has this digest.

        Raises:
            NotAuthenticatedError: no token has it, it has expired, or its user is disabled.
            RedisUnavailableError: the user cannot be looked up.
        """
        if hmac.compare_digest(digest, self._admin_digest):
            return ADMIN
        known = self._remembered.get(digest)
        if known is None or known.until <= self._clock():
            known = self._look_up(digest)
        if known.user is None:
            raise NotAuthenticatedError(known.reason)
        return known.user

    def _look_up(self, digest: str) -> _Remembered:
        found = self._store.find(digest) if self._store else None
        if len(self._remembered) >= _MOST_REMEMBERED:
            self._remembered.clear()
        known = self._remembered[digest] = self._judge(found)
        return known

    def _judge(self, found: Found | None) -> _Remembered:
        until = self._clock() + LONGEST_MEMORY_S
        if found is None:
            return _Remembered(None, None, until)
        account, left_s = found.account, found.left_s
        if account.disabled:
            return _Remembered(None, f"the user {account.name!r} is disabled; ask an admin", until)
        if left_s is not None and left_s <= 0 and class_of(account.name):
            return _Remembered(None, "the class has ended", until)
        if left_s is not None and left_s <= 0:
            ended = datetime.fromtimestamp(time.time() + left_s, UTC)
            return _Remembered(
                None, f"the token expired at {ended:%Y-%m-%d %H:%M} UTC; ask an admin for a new one", until
            )
        is_admin, quotas = account.role is Role.ADMIN, account.quotas(self._defaults)
        user = User(
            account.name, is_admin, quotas, account.keep, account.nickname, found.is_paused, found.teaches
        )
        return _Remembered(user, None, until if left_s is None else min(until, self._clock() + left_s))


def read_admin_token(path: Path) -> str:
    """Return the admin's token from its file.

    Raises:
        SettingsError: the file is missing or holds no token.
    """
    return read_secret(path, "admin token (HXSERVE_ADMIN_TOKEN_FILE)")


def ensure_admin_token(path: Path) -> str:
    """Return the admin's token from its file, which is created if missing, readable by its owner alone."""
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "w") as file:
            file.write(secrets.token_urlsafe(24) + "\n")
    return read_admin_token(path)
