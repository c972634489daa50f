"""The schema version of the records in Redis: written at the first start, raised by migrations, refused if newer."""

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Final

from services.errors import SchemaError
from services.store import keys
from services.store.connection import Connection
from services.store.scripts import lua_source

RESTORING: Final = b"restoring"
"""The value in place of the version while a backup is being restored."""

UNNUMBERED: Final = 0
"""The version of records from before versions were recorded."""


@dataclass(frozen=True, slots=True)
class Migration:
    """One step from the previous version to `version`.

    Its script, in `services/store`, changes the records, and runs in one atomic step with the writing of the new
    version: it happens once, however many processes start at the same time and wherever one is killed. With
    `while_stopped` it is refused while workers of the version before hold chips. Redis undoes nothing of a script that
    fails: one that could must look before it writes.
    """

    version: int
    script: str
    while_stopped: bool = True


MIGRATIONS: Final = (Migration(1, "store/migrate_to_1", while_stopped=False),)
"""All migrations, in order; the last one makes the schema of this program."""

SCHEMA: Final = MIGRATIONS[-1].version

_log = logging.getLogger(__name__)

_STEP: Final = """
local before, version, while_stopped = ARGV[1], ARGV[2], ARGV[3] == '1'
if (redis.call('GET', SCHEMA) or '0') ~= before then return {'elsewhere'} end
if while_stopped then
  for _, chip in ipairs(redis.call('SMEMBERS', CHIPS)) do
    if redis.call('EXISTS', chip_key(chip, 'lease')) == 1 then return {'held', chip} end
  end
end
local function migrate()
%s
end
migrate()
redis.call('SET', SCHEMA, version)
return {'done'}
"""


def schema_of(connection: Connection) -> int:
    """Return the schema version of the records; 0 without records, or for records from before versions.

    Raises:
        SchemaError: a restore did not finish, or the version is none of ours.
    """
    stored: Any = connection.client.get(keys.SCHEMA)
    if stored == RESTORING:
        raise SchemaError("a restore into this Redis has not finished; run `hxserve restore` again")
    try:
        return int(stored or UNNUMBERED)
    except ValueError:
        raise SchemaError(f"{keys.SCHEMA} in this Redis is {stored!r}, which no hxserve wrote") from None


def ensure_schema(
    connection: Connection,
    migrations: Sequence[Migration] = MIGRATIONS,
    read: Callable[[str], str] = lua_source,
) -> int:
    """Migrate the records to the newest schema version; return the version before.

    `migrations` are in order, without gaps; `read` gives the text of a script by its path in `services`.

    Raises:
        SchemaError: it is newer, a restore did not finish, or a worker of an older version runs.
    """
    found, wanted = schema_of(connection), migrations[-1].version
    if found > wanted:
        raise SchemaError(
            f"the records in this Redis have schema version {found}, this hxserve knows {wanted} and older; "
            "start the newer hxserve that wrote them, or restore a backup from before into an empty place"
        )
    for migration in migrations:
        if migration.version > found:
            _run(connection, migration, keys.lua_definitions() + _STEP % read(f"{migration.script}.lua"))
    return found


def _run(connection: Connection, migration: Migration, script: str) -> None:
    answer: Any = connection.client.eval(
        script, 0, str(migration.version - 1), str(migration.version), int(migration.while_stopped)
    )
    if answer[0] == b"held":
        raise SchemaError(
            f"the records in this Redis are to be brought to schema version {migration.version}, but chip "
            f"{answer[1].decode()} has a worker of an older hxserve; stop all workers and APIs, then start again"
        )
    if answer[0] == b"done":
        _log.info("the records in Redis have schema version %d now", migration.version)
