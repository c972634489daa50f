"""What running letter centres say of themselves, for the page; forgotten soon after they fall silent."""

import json
from collections.abc import Mapping
from typing import Any, Final

from services.store.connection import Connection, translated_errors

_ALIVE_S: Final = 10
_CENTRES: Final = "hx:letters"


class LettersStore:
    """Keeps the newest status of each user's letter centre."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def keep(self, user: str, status: Mapping[str, Any]) -> None:
        """Keeps a status for ten seconds."""
        with translated_errors(), self._connection.client.pipeline() as pipeline:
            pipeline.set(f"{_CENTRES}:{user}", json.dumps(status), ex=_ALIVE_S)
            pipeline.sadd(_CENTRES, user)
            pipeline.execute()

    def running(self) -> dict[str, dict[str, Any]]:
        """The newest status by user, of those who spoke lately."""
        found: dict[str, dict[str, Any]] = {}
        with translated_errors():
            users: Any = self._connection.client.smembers(_CENTRES)
            for user in sorted(name.decode() for name in users):
                status: Any = self._connection.client.get(f"{_CENTRES}:{user}")
                if status is None:
                    self._connection.client.srem(_CENTRES, user)
                else:
                    found[user] = json.loads(status)
        return found
