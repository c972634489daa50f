"""The worker's door to Celery."""

import json
from typing import Any

import pytest

from services.chips.wakeups import TASK_NAME, queue_of
from services.errors import RedisUnavailableError
from services.store.connection import Connection
from tests.services.samples import CHIP
from worker.celery_app import create_app, send_wake_up


def _no_turn() -> bool:
    return False


def test_a_wake_up_is_a_message_in_the_queue_of_the_chip_that_names_no_job(
    connection: Connection, redis_url: str
) -> None:
    with create_app(redis_url, CHIP, _no_turn) as app:
        send_wake_up(app)(CHIP)

    client: Any = connection.client
    [message] = [json.loads(text) for text in client.lrange(queue_of(CHIP), 0, -1)]
    assert message["headers"]["task"] == TASK_NAME
    assert (message["headers"]["argsrepr"], message["headers"]["kwargsrepr"]) == ("()", "{}")


def test_a_wake_up_that_cannot_be_sent_is_an_error_that_its_sender_knows() -> None:
    with create_app("unix:///nowhere/redis.sock", CHIP, _no_turn) as app:
        wake_up = send_wake_up(app)

        with pytest.raises(RedisUnavailableError, match="wake-up cannot be sent"):
            wake_up(CHIP)


def test_redis_is_looked_for_again_within_a_second_and_not_ever_more_seldom() -> None:
    pauses: list[float] = []

    def note(error: Exception, pause_s: float) -> None:
        pauses.append(pause_s)
        if len(pauses) == 3:
            raise LookupError("enough") from error

    with (
        create_app("unix:///nowhere/redis.sock", CHIP, _no_turn) as app,
        app.connection_for_read() as connection,
        pytest.raises(LookupError, match="enough"),
    ):
        connection.ensure_connection(note, None)

    assert pauses == pytest.approx([0.1, 0.2, 0.3])
