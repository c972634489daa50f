"""All records as they are at one moment, taken out of Redis and put into another one.

What belongs to a process that will be gone stays out: leases, bells and wake-ups, answers on their way to an API
process, browser sessions. Commands used here are not among those that the service's own Redis users have: whoever may
read all keys at once is the administrator of Redis.
"""

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import islice
from typing import Any, Final, TypeVar

from services.errors import ConflictError, HxserveError, SchemaError
from services.store.connection import Connection, translated_errors
from services.store.schema import KEY, RESTORING, SCHEMA, schema_of

_PASSING: Final = re.compile(rb"hx:(chip:[^:]+:(lease|bell|wakeup)|replies:.*|session:.*|schema)")
_FENCE: Final = re.compile(rb"hx:chip:[^:]+:fence")
_FENCES_LEFT_OUT: Final = 1_000_000
"""So far beyond the fencing numbers of the backup are those that follow: no worker since has them."""

_AT_ONCE: Final = 100
_TRIAL: Final = "hx:restoring"

_TAKE: Final = """
local t = redis.call('TIME')
local lanes, parts = redis.call('SMEMBERS', 'hx:crops:lanes'), 0
for _, lane in ipairs(lanes) do parts = parts + redis.call('XLEN', 'hx:crops:' .. lane) end
local keys = {}
for _, key in ipairs(redis.call('KEYS', 'hx:*')) do
  keys[#keys + 1] = {key, redis.call('PTTL', key), redis.call('DUMP', key)}
end
return {t[1] .. '.' .. string.format('%06d', t[2]), redis.call('GET', 'hx:schema') or '0',
        redis.call('ZCARD', 'hx:jobs'), redis.call('SCARD', 'hx:jobs:long'), redis.call('SCARD', 'hx:users'), parts,
        keys}
"""

_FINISH: Final = """
for i = 3, #ARGV do redis.call('INCRBY', ARGV[i], ARGV[2]) end
if ARGV[1] == '0' then redis.call('DEL', 'hx:schema') else redis.call('SET', 'hx:schema', ARGV[1]) end
"""


@dataclass(frozen=True, slots=True)
class Record:
    """One key: its name, how long it has to live in milliseconds (0 for ever), and its value as Redis dumps it."""

    name: bytes
    left_ms: int
    value: bytes


@dataclass(frozen=True, slots=True)
class Snapshot:
    """All records at the time `taken_at`, Unix seconds by the clock of Redis, and what they are, by number."""

    taken_at: float
    schema: int
    counts: dict[str, int]
    records: list[Record]


class SnapshotStore:
    """Takes all records out of one Redis, and puts them into another."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def take(self) -> Snapshot:
        """The records, in one atomic step; nothing else is answered meanwhile.

        Raises:
            RedisUnavailableError: Redis does not answer, or forbids it to this user.
            SchemaError: a restore into this Redis has not finished, or a newer hxserve wrote the records.
        """
        if (found := schema_of(self._connection)) > SCHEMA:
            raise SchemaError(
                f"the records have schema version {found}, this hxserve knows {SCHEMA} and older; "
                "take the backup with the hxserve that runs on them"
            )
        with translated_errors():
            answer: Any = self._connection.client.eval(_TAKE, 0)
        at, schema, jobs, unfinished, users, parts, keys = answer
        counts = {
            "jobs": jobs,
            "unfinished_jobs": unfinished,
            "users": users,
            "waiting_parts_of_crops": parts,
        }
        return Snapshot(
            taken_at=float(at),
            schema=int(schema),
            counts=counts,
            records=[
                # A key that goes within this millisecond has one left, for 0 would be for ever.
                Record(name, max(1, left_ms) if left_ms >= 0 else 0, value)
                for name, left_ms, value in keys
                if value is not None and not _PASSING.fullmatch(name)
            ],
        )

    def is_unfinished(self) -> bool:
        """Whether a restore into this Redis began and did not finish."""
        with translated_errors():
            stored: Any = self._connection.client.get(KEY)
        return bool(stored == RESTORING)

    def check_stopped(self) -> None:
        """Does nothing if no worker holds a chip.

        Raises:
            ConflictError: one does.
        """
        with translated_errors():
            held = [key.decode() for key in self._connection.client.scan_iter("hx:chip:*:lease")]
        if held:
            chips = ", ".join(key.split(":")[2] for key in held)
            raise ConflictError(f"{chips} has a worker; stop all workers and APIs, and wait for some seconds")

    def is_empty(self) -> bool:
        """Whether there are no records."""
        with translated_errors():
            return next(
                (False for key in self._connection.client.scan_iter("hx:*") if key != KEY.encode()), True
            )

    def check_readable(self, record: Record) -> None:
        """Does nothing if this Redis can read records of the one they are from.

        Raises:
            ConflictError: it is an older one.
        """
        try:
            self._put([Record(_TRIAL.encode(), 1, record.value)])
        except HxserveError as error:
            if "DUMP payload" in error.message:
                raise ConflictError(
                    "this Redis is older than the one that the backup was taken from; restore into one as new as that"
                ) from None
            raise

    def begin(self) -> None:
        """Marks this Redis: no process starts on it until `finish`; and forgets all records."""
        with translated_errors():
            self._connection.client.set(KEY, RESTORING)
            keys = (
                key for key in self._connection.client.scan_iter("hx:*", count=1000) if key != KEY.encode()
            )
            for some in _batched(keys):
                self._connection.client.delete(*some)

    def restore(self, records: Iterable[Record]) -> None:
        """Puts records in.

        Raises:
            RedisUnavailableError: Redis does not answer, or has no room.
        """
        for some in _batched(records):
            self._put(some)

    def _put(self, records: Iterable[Record]) -> None:
        with translated_errors(), self._connection.client.pipeline(transaction=False) as pipeline:
            for record in records:
                pipeline.restore(record.name, record.left_ms, record.value, replace=True)
            pipeline.execute()

    def finish(self, schema: int, names: Iterable[bytes]) -> None:
        """Lets processes start on these records again; workers from before the restore have lost their leases."""
        fences = [name for name in names if _FENCE.fullmatch(name)]
        with translated_errors():
            self._connection.client.eval(_FINISH, 0, schema, _FENCES_LEFT_OUT, *fences)


_Item = TypeVar("_Item")


def _batched(items: Iterable[_Item]) -> Iterator[list[_Item]]:
    rest = iter(items)
    while some := list(islice(rest, _AT_ONCE)):
        yield some
