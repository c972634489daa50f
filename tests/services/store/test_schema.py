"""The schema version in Redis: written once, raised in order and once, and never run against when newer."""

import threading
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from services.chips.store import ChipStore
from services.errors import RedisUnavailableError, SchemaError
from services.jobs.acceptance import Idempotency
from services.jobs.store import JobStore
from services.store import keys
from services.store.connection import Connection
from services.store.schema import MIGRATIONS, RESTORING, SCHEMA, Migration, ensure_schema
from tests.services.samples import CHIP, PLENTY, a_holder, a_job

SCRIPTS = {
    "first.lua": "redis.call('RPUSH', 'hx:steps', 'first')",
    "second.lua": "redis.call('RPUSH', 'hx:steps', 'second')",
    "broken.lua": "redis.call('RPUSH', 'hx:steps', 'broken'); error('a bug')",
}
TWO = (Migration(1, "first", while_stopped=False), Migration(2, "second"))


def _steps(connection: Connection) -> list[bytes]:
    steps: Any = connection.client.lrange("hx:steps", 0, -1)
    return list(steps)


def _version(connection: Connection) -> Any:
    return connection.client.get(keys.SCHEMA)


def test_the_first_start_writes_the_version_down(connection: Connection) -> None:
    ensure_schema(connection)

    assert _version(connection) == str(SCHEMA).encode()


def test_migrations_have_no_gaps() -> None:
    assert [migration.version for migration in MIGRATIONS] == list(range(1, SCHEMA + 1))


def test_records_from_before_versions_are_kept_as_they_are(
    connection: Connection, jobs: JobStore, chips: ChipStore
) -> None:
    lease, job = chips.take(CHIP, a_holder()), a_job()
    jobs.submit(job, Idempotency(), most=PLENTY)
    before = jobs.get(job.id)

    found = ensure_schema(connection)

    assert (found, _version(connection)) == (0, b"1")
    assert jobs.get(job.id) == before
    assert chips.renew(lease, {})


def test_migrations_are_run_in_order_from_where_the_records_are(connection: Connection) -> None:
    ensure_schema(connection, TWO[:1], SCRIPTS.__getitem__)
    ensure_schema(connection, TWO, SCRIPTS.__getitem__)

    assert (_steps(connection), _version(connection)) == ([b"first", b"second"], b"2")


def test_migrations_are_run_once_however_many_processes_start(connection: Connection, redis_url: str) -> None:
    starters = 8
    together = threading.Barrier(starters)

    def start(_: int) -> None:
        own = Connection(redis_url, retries=0)
        together.wait()
        ensure_schema(own, TWO, SCRIPTS.__getitem__)
        own.close()

    with ThreadPoolExecutor(starters) as pool:
        list(pool.map(start, range(starters)))

    assert _steps(connection) == [b"first", b"second"]


def test_a_newer_version_is_refused_and_left_alone(connection: Connection) -> None:
    connection.client.set(keys.SCHEMA, SCHEMA + 1)

    with pytest.raises(SchemaError, match=f"schema version {SCHEMA + 1}, this hxserve knows {SCHEMA}"):
        ensure_schema(connection)

    assert _version(connection) == str(SCHEMA + 1).encode()


def test_a_migration_waits_until_no_worker_of_the_version_before_holds_a_chip(
    connection: Connection, chips: ChipStore
) -> None:
    lease = chips.take(CHIP, a_holder())

    with pytest.raises(SchemaError, match=f"chip {CHIP} has a worker of an older hxserve; stop all"):
        ensure_schema(connection, TWO, SCRIPTS.__getitem__)
    stopped_at = _version(connection), _steps(connection)
    chips.release(lease)
    ensure_schema(connection, TWO, SCRIPTS.__getitem__)

    assert stopped_at == (b"1", [b"first"])
    assert _version(connection) == b"2"


def test_a_migration_that_fails_leaves_the_version_before(connection: Connection) -> None:
    ensure_schema(connection, TWO[:1], SCRIPTS.__getitem__)

    with pytest.raises(Exception, match="a bug"):
        ensure_schema(connection, (*TWO[:1], Migration(2, "broken")), SCRIPTS.__getitem__)

    assert _version(connection) == b"1"


@pytest.mark.parametrize("stored", [RESTORING, b"one"], ids=["restoring", "nonsense"])
def test_what_is_no_version_is_refused(connection: Connection, stored: bytes) -> None:
    connection.client.set(keys.SCHEMA, stored)

    with pytest.raises(SchemaError, match=r"run `hxserve restore` again|no hxserve wrote"):
        ensure_schema(connection)


def test_a_redis_that_is_away_is_said_to_be_away() -> None:
    with pytest.raises(RedisUnavailableError):
        ensure_schema(Connection("redis://127.0.0.1:1/0", retries=0))
