"""Browser sessions: an id kept by the browser, and the digest of the token that opened the session."""

import hashlib
import secrets
from typing import Any, Final

from services.store import keys
from services.store.connection import Connection

IDLE_S: Final = 12 * 3600
"""A session that was not used for this long has ended."""


class SessionStore:
    """Opens and closes sessions. Only digests of ids and tokens are stored."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def open(self, digest: str) -> str:
        """Create a session for the token with this digest; return its id, 256 random bits."""
        session = secrets.token_urlsafe(32)
        self._connection.client.set(_key(session), digest, ex=IDLE_S)
        return session

    def digest_of(self, session: str) -> str | None:
        """Return the digest of a session's token and extend the session; None if it has ended."""
        stored: Any = self._connection.client.getex(_key(session), ex=IDLE_S)
        return stored.decode() if stored else None

    def close(self, session: str) -> None:
        """End a session; harmless when it has ended."""
        self._connection.client.delete(_key(session))


def _key(session: str) -> str:
    return keys.session_key(hashlib.sha256(session.encode()).hexdigest())
