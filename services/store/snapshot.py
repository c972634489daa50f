"""Snapshots of all records, dumped from one Redis and restored into another.

Keys that belong to a running process are left out: leases, bells and wake-ups, replies on their way to an API process,
browser sessions, sign-in links. Only the administrator of Redis may run the commands used here, not the service's own
users.
"""

import re
from collections.abc import Iterable, Sequence
from typing import Any, Final, NamedTuple

from services.errors import ConflictError, HxserveError, SchemaError
from services.store import keys
from services.store.connection import Connection
from services.store.schema import RESTORING, SCHEMA, schema_of

_PASSING: Final = re.compile(
    rb"hx:(chip:[^:]+:(lease|bell|idle|wakeup)|replies:.*|session:.*|link:.*|operations?:.*|program:.*|schema)"
)
_FENCE: Final = re.compile(rb"hx:chip:[^:]+:fence")
_FENCES_SKIPPED: Final = 1_000_000
"""Fencing numbers between those of the backup and the next one: more than any worker took since."""
_AT_ONCE: Final = 100
_TRIAL: Final = b"hx:restoring"

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


class Record(NamedTuple):
    """One key, with its remaining life in milliseconds (0: no end) and its value as Redis dumps it."""

    name: bytes
    left_ms: int
    value: bytes


class Snapshot(NamedTuple):
    """All records at the time `taken_at`, in Unix seconds by the clock of Redis."""

    taken_at: float
    schema: int
    counts: dict[str, int]
    records: list[Record]


class SnapshotStore:
    """Takes a snapshot of one Redis and restores it into another."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._client = connection.client

    def take(self) -> Snapshot:
        """Return all records, in one atomic step that blocks all other clients of Redis.

        Raises:
            RedisUnavailableError: Redis does not answer, or forbids it to this user.
            SchemaError: a restore into this Redis has not finished, or a newer hxserve wrote the records.
        """
        if (found := schema_of(self._connection)) > SCHEMA:
            raise SchemaError(
                f"the records have schema version {found}, this hxserve knows {SCHEMA} and older; "
                "take the backup with the hxserve that runs on them"
            )
        answer: Any = self._client.eval(_TAKE, 0)
        at, schema, jobs, unfinished, users, parts, keys = answer
        counts = {
            "jobs": jobs,
            "unfinished_jobs": unfinished,
            "users": users,
            "waiting_parts_of_crops": parts,
        }
        records = [
            # A key in its last millisecond keeps one, because 0 means no end.
            Record(name, max(1, left_ms) if left_ms >= 0 else 0, value)
            for name, left_ms, value in keys
            if value is not None and not _PASSING.fullmatch(name)
        ]
        return Snapshot(float(at), int(schema), counts, records)

    def is_unfinished(self) -> bool:
        """Return True while a restore into this Redis has begun and not finished."""
        return bool(self._client.get(keys.SCHEMA) == RESTORING)

    def is_empty(self) -> bool:
        """Return True if there are no records."""
        return all(key == keys.SCHEMA.encode() for key in self._client.scan_iter("hx:*"))

    def check_stopped(self) -> None:
        """Raise ConflictError if a worker holds a chip."""
        held = [key.decode().split(":")[2] for key in self._client.scan_iter("hx:chip:*:lease")]
        if held:
            raise ConflictError(
                f"{', '.join(held)} has a worker; stop all workers and APIs, and wait for some seconds"
            )

    def check_readable(self, record: Record) -> None:
        """Raise ConflictError if this Redis is too old to read a record of the one that dumped it."""
        try:
            self._put([Record(_TRIAL, 1, record.value)])
        except HxserveError as error:
            if "DUMP payload" in error.message:
                raise ConflictError(
                    "this Redis is older than the one that the backup was taken from; restore into one as new as that"
                ) from None
            raise

    def begin(self) -> None:
        """Delete all records; no process starts on this Redis until `finish`."""
        self._client.set(keys.SCHEMA, RESTORING)
        for key in self._client.scan_iter("hx:*", count=1000):
            if key != keys.SCHEMA.encode():
                self._client.delete(key)

    def restore(self, records: Sequence[Record]) -> None:
        """Add records.

        Raises:
            RedisUnavailableError: Redis does not answer, or has no room.
        """
        for start in range(0, len(records), _AT_ONCE):
            self._put(records[start : start + _AT_ONCE])

    def finish(self, schema: int, names: Iterable[bytes]) -> None:
        """Let processes start on these records; leases that were taken since the backup are void."""
        fences = [name for name in names if _FENCE.fullmatch(name)]
        self._client.eval(_FINISH, 0, schema, _FENCES_SKIPPED, *fences)

    def _put(self, records: Iterable[Record]) -> None:
        with self._client.pipeline(transaction=False) as pipeline:
            for record in records:
                pipeline.restore(record.name, record.left_ms, record.value, replace=True)
            pipeline.execute()
