"""Statuses of running letter centres, for the page; each expires soon after its last update."""

import json
from collections.abc import Mapping
from typing import Any, Final

from services.store import keys
from services.store.connection import Connection

_ALIVE_S: Final = 10


class LettersStore:
    """Stores the newest status of each user's letter centre."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def keep(self, user: str, status: Mapping[str, Any]) -> None:
        """Store a status for ten seconds."""
        with self._connection.client.pipeline() as pipeline:
            pipeline.set(keys.letters_key(user), json.dumps(status), ex=_ALIVE_S)
            pipeline.sadd(keys.LETTERS, user)
            pipeline.execute()

    def running(self) -> dict[str, dict[str, Any]]:
        """Return the newest status by user, unexpired ones only."""
        found: dict[str, dict[str, Any]] = {}
        users: Any = self._connection.client.smembers(keys.LETTERS)
        for user in sorted(name.decode() for name in users):
            status: Any = self._connection.client.get(keys.letters_key(user))
            if status is None:
                self._connection.client.srem(keys.LETTERS, user)
            else:
                found[user] = json.loads(status)
        return found
