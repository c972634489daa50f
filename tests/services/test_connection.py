"""The door to Redis: what it cannot take now is said so, and nothing of redis-py passes."""

from collections.abc import Iterator

import pytest

from services.errors import HxserveError, RedisUnavailableError
from services.store.connection import Connection, translated_errors
from services.store.crops import CropStore
from services.store.parcels import Lane, Parcel
from tests.services.samples import some_crops


@pytest.fixture
def _no_memory(connection: Connection) -> Iterator[None]:
    """Redis has no memory for anything more."""
    connection.client.config_set("maxmemory", 1)
    yield
    connection.client.config_set("maxmemory", 0)


@pytest.mark.usefixtures("_no_memory")
def test_a_script_that_finds_no_memory_says_that_redis_cannot_take_this_now(crops: CropStore) -> None:
    parcel = Parcel("a", Lane("digits", "1", "ada"), 1, some_crops(1), None)

    with pytest.raises(RedisUnavailableError, match="cannot take this now"):
        crops.accept_group("replies", [parcel])


def test_a_command_that_redis_does_not_know_is_an_error_of_ours(connection: Connection) -> None:
    with pytest.raises(HxserveError, match="refused a command"), translated_errors():
        connection.client.execute_command("NOSUCHCOMMAND")  # type: ignore[no-untyped-call] # untyped in redis-py
