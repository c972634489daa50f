"""The wake-up: a message that says *that* a chip has work, never which.

After work is recorded, each chip without an outstanding wake-up is sent one, through the Celery application of the API
or of a worker.
"""

from collections.abc import Callable, Iterable
from typing import Final

from services.errors import RedisUnavailableError

TASK_NAME: Final = "hxserve.turn"

WakeUp = Callable[[str], None]
"""Sends a wake-up to the queue of the chip of this id."""


def queue_of(chip: str) -> str:
    """Return the Celery queue of a chip."""
    return f"hxserve.chip.{chip}"


def sent_by(send_task: Callable[..., object], failure: type[Exception]) -> WakeUp:
    """Return the sender of wake-ups by Celery's `send_task`, which raises `failure` where no broker answers."""

    def wake_up(chip: str) -> None:
        try:
            send_task(TASK_NAME, queue=queue_of(chip), ignore_result=True)
        except failure as error:
            raise RedisUnavailableError(f"the wake-up cannot be sent ({error})") from error

    return wake_up


def wake_all(wake_up: WakeUp, chips: Iterable[str]) -> None:
    """Send a wake-up to each of these chips."""
    for chip in chips:
        wake_up(chip)


def broker_url(redis_url: str) -> str:
    """Return the URL of Redis for Celery, in which a Unix socket has another scheme."""
    return redis_url.replace("unix://", "redis+socket://", 1)
