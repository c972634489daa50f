"""The measured paces of long work in Redis."""

import json
from collections.abc import Mapping
from typing import Any, Final

from services.costs import Pace
from services.store.connection import Connection, translated_errors

_KEY: Final = "hx:paces"
_MOST: Final = 1000
"""Kinds of work that are remembered; users choose shapes, so there may be any number."""


class CostStore:
    """Reads and writes paces by kind of work."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def paces(self) -> dict[str, Pace]:
        """All paces; what cannot be read is left out, it will be measured again."""
        with translated_errors():
            stored: Any = self._connection.client.hgetall(_KEY)
        found = {}
        for kind, text in stored.items():
            try:
                found[kind.decode()] = Pace(*json.loads(text))
            except (ValueError, TypeError):
                continue
        return found

    def keep(self, paces: Mapping[str, Pace]) -> None:
        """Keeps some paces; when there are too many, any others are forgotten."""
        fields: Any = {
            kind: json.dumps([pace.log_mean, pace.log_variance, pace.weight_s])
            for kind, pace in paces.items()
        }
        with translated_errors(), self._connection.client.pipeline(transaction=False) as pipeline:
            pipeline.hset(_KEY, mapping=fields)
            pipeline.hlen(_KEY)
            _, count = pipeline.execute()
            if count > _MOST:
                picked: Any = self._connection.client.hrandfield(_KEY, count - _MOST)
                forgotten = [kind for kind in picked if kind.decode() not in paces]
                if forgotten:
                    self._connection.client.hdel(_KEY, *forgotten)
