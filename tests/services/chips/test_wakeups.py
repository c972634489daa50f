"""Wake-ups: alike, and one for each chip named."""

import pytest

from services.chips.wakeups import broker_url, queue_of, wake_all


def test_each_chip_is_sent_one() -> None:
    sent: list[str] = []

    wake_all(sent.append, ("chip-1", "chip-2"))

    assert sent == ["chip-1", "chip-2"]


def test_each_chip_has_its_own_queue() -> None:
    assert queue_of("chip-1") != queue_of("chip-2")


@pytest.mark.parametrize(
    ("url", "broker"),
    [
        ("redis://h:1/0", "redis://h:1/0"),
        ("rediss://h:1/0", "rediss://h:1/0"),
        ("unix:///run/redis.sock", "redis+socket:///run/redis.sock"),
    ],
)
def test_celery_has_its_own_name_for_a_unix_socket(url: str, broker: str) -> None:
    assert broker_url(url) == broker
