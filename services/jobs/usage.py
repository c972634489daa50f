"""Chip time charged to users, in Redis."""

import time
from collections.abc import Iterable
from typing import Any

from services.scheduling.policy import Charge
from services.store import keys
from services.store.connection import Connection


class UsageStore:
    """Reads the chip time that the scripts charge."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def by_minute(self, minutes: int) -> dict[int, dict[tuple[str, str, str], float]]:
        """Return chip time in seconds by (chip, user, kind), for each of the last minutes: by its number since 1970.

        The present minute is the last; charges older than two hours are forgotten.
        """
        last = int(time.time() // 60)
        numbers = range(last - minutes + 1, last + 1)
        with self._connection.client.pipeline(transaction=False) as pipeline:
            for number in numbers:
                pipeline.hgetall(keys.minute_key(number))
            found: list[dict[bytes, bytes]] = pipeline.execute()
        return {
            number: {_chip_user_and_kind(name): float(seconds) for name, seconds in stored.items()}
            for number, stored in zip(numbers, found, strict=True)
        }

    def by_user(self, kinds: Iterable[str]) -> dict[str, dict[str, float]]:
        """Return chip time in seconds by user and kind."""
        used: dict[str, dict[str, float]] = {}
        for kind in kinds:
            stored: Any = self._connection.client.hgetall(keys.usage_key(kind))
            for user, seconds in stored.items():
                used.setdefault(user.decode(), {})[kind] = float(seconds)
        return used


def read_charge(text: bytes) -> Charge:
    """Decode a stored charge: seconds, and the time at which it was exact."""
    seconds, at = text.split()
    return Charge(float(seconds), float(at))


def _chip_user_and_kind(name: bytes) -> tuple[str, str, str]:
    chip, kind, user = name.decode().split(":")
    return chip, user, kind
