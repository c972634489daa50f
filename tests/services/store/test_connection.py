"""The door to Redis: what it cannot take now is said so, and nothing of redis-py passes."""

import re
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing

import pytest

from services.crops.store import CropStore
from services.errors import HxserveError, RedisUnavailableError
from services.store.connection import Connection, ExclusiveConnection, translated_errors
from services.store.scripts import lua_source, scripts, source_of
from tests.services.samples import accept, some_crops


@pytest.fixture
def _no_memory(connection: Connection) -> Iterator[None]:
    """Redis has no memory for anything more."""
    connection.client.config_set("maxmemory", 1)
    yield
    connection.client.config_set("maxmemory", 0)


@pytest.mark.usefixtures("_no_memory")
def test_a_script_that_finds_no_memory_says_that_redis_cannot_take_this_now(crops: CropStore) -> None:
    with pytest.raises(RedisUnavailableError, match="cannot take this now"):
        accept(crops, [some_crops(1)])


def test_a_command_that_redis_does_not_know_is_an_error_of_ours(connection: Connection) -> None:
    with pytest.raises(HxserveError, match="refused a command"), translated_errors():
        connection.client.execute_command("NOSUCHCOMMAND")  # type: ignore[no-untyped-call] # untyped in redis-py


@pytest.mark.parametrize("kind", [Connection, ExclusiveConnection])
def test_scripts_are_given_to_a_redis_that_forgot_them(
    connection: Connection, redis_url: str, kind: type[Connection]
) -> None:
    with closing(Connection(redis_url, retries=0)) as shared:
        door = shared if kind is Connection else ExclusiveConnection(shared)
        for _ in range(2):
            connection.client.script_flush()

            assert door.run("users/user_load", "ada") == [0, 0, b"0", 0, 0]


def test_a_connection_that_was_closed_meanwhile_is_opened_again(
    connection: Connection, redis_url: str
) -> None:
    with closing(Connection(redis_url, retries=0)) as shared, closing(ExclusiveConnection(shared)) as own:
        own.execute("SET", "a", "1")
        connection.client.client_kill_filter(_type="normal", skipme=True)
        time.sleep(0.15)  # one that was in use just now is not asked whether it lives

        assert own.execute("GET", "a") == b"1"


def test_an_answer_that_does_not_come_in_time_is_not_taken_for_the_next_one(redis_url: str) -> None:
    with (
        closing(Connection(redis_url, retries=0, timeout_s=0.2)) as shared,
        closing(ExclusiveConnection(shared)) as own,
    ):
        with pytest.raises(RedisUnavailableError, match="does not answer"):
            own.execute("BLPOP", "nothing", 1)

        assert own.execute("ECHO", "here") == b"here"


def test_a_command_whose_answer_is_lost_is_not_given_again_unless_retries_are_allowed(
    connection: Connection, redis_url: str
) -> None:
    connection.client.rpush("claims", "first", "second", "third")
    with (
        closing(Connection(redis_url, retries=0, timeout_s=0.2)) as shared,
        closing(ExclusiveConnection(shared)) as own,
    ):
        own.execute("PING")
        connection.client.client_pause(400)
        with pytest.raises(RedisUnavailableError):
            own.execute("LPOP", "claims")
        time.sleep(0.4)

    assert connection.client.llen("claims") >= 2


def test_threads_that_share_an_exclusive_connection_have_their_own_answers(connection: Connection) -> None:
    with closing(ExclusiveConnection(connection)) as own, ThreadPoolExecutor(8) as pool:
        said = [str(number) for number in range(400)]

        assert [answer.decode() for answer in pool.map(lambda text: own.execute("ECHO", text), said)] == said


def test_a_script_comes_with_all_that_it_needs_of_the_prelude_and_no_more() -> None:
    prelude = re.findall(r"^local (?:function )?(\w+)", lua_source("store/prelude.lua"), re.MULTILINE)
    for script in scripts():
        if script == "store/prelude.lua":
            continue
        source = source_of(script.removesuffix(".lua"))
        defined = re.findall(r"^local (?:function )?(\w+)", source, re.MULTILINE)

        used = [name for name in prelude if len(re.findall(rf"\b{name}\b", source)) > 0]
        assert [name for name in used if name not in defined] == []
        assert [
            name for name in prelude if name in defined and len(re.findall(rf"\b{name}\b", source)) == 1
        ] == []
