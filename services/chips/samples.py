"""A few crops of each digit from a worker's test set, as examples for users."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import msgpack

from services.errors import NotFoundError
from services.store import keys
from services.store.connection import Connection


@dataclass(frozen=True, slots=True)
class Samples:
    """Crops of one digit, 784 bytes each, and the name of the data set that they are from."""

    dataset: str
    crops: Sequence[bytes]


class SampleStore:
    """Stores the crops published last by a worker."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def keep(self, samples: Mapping[int, Samples]) -> None:
        """Store crops by digit; they replace the previous ones."""
        packed: Any = {str(digit): msgpack.packb([s.dataset, list(s.crops)]) for digit, s in samples.items()}
        with self._connection.client.pipeline() as pipeline:
            pipeline.delete(keys.SAMPLES)
            pipeline.hset(keys.SAMPLES, mapping=packed)
            pipeline.execute()

    def of(self, digit: str) -> Samples:
        """Return the crops of a digit, at least one.

        Raises:
            NotFoundError: it is none, or no worker has brought any yet.
        """
        stored: Any = self._connection.client.hget(keys.SAMPLES, digit)
        if stored is None:
            raise NotFoundError(
                f"there are no pictures of {digit!r}; ask for a digit 0 to 9 once a worker has started"
            )
        return Samples(*msgpack.unpackb(stored))
