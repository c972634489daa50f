"""Browser sessions, and links that open one on another device.

A session is an id kept by the browser, and the digest of the token that opened it. A link has a code that stands for
such a digest once.
"""

import hashlib
import secrets
import time
from typing import Any, Final

from services.store import keys
from services.store.connection import Connection

IDLE_S: Final = 12 * 3600
"""A session that was not used for this long has ended."""

LINK_S: Final = 120
"""Life of a link that signs another device in."""


class SessionStore:
    """Opens and closes sessions. Only digests of ids, codes and tokens are stored."""

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

    def offer(self, digest: str) -> tuple[str, float]:
        """Create a code, 256 random bits, that stands for the token with this digest once; return it and its end."""
        code = secrets.token_urlsafe(32)
        self._connection.client.set(_link_key(code), digest, ex=LINK_S)
        return code, time.time() + LINK_S

    def accept(self, code: str) -> str | None:
        """Use up a code; return the digest of its token, None if it was used or has expired."""
        stored: Any = self._connection.client.getdel(_link_key(code))
        return stored.decode() if stored else None


def _key(session: str) -> str:
    return keys.session_key(hashlib.sha256(session.encode()).hexdigest())


def _link_key(code: str) -> str:
    return keys.sign_in_link_key(hashlib.sha256(code.encode()).hexdigest())
