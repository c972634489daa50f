"""The wake-up: a message that says *that* a chip has work, never which.

After work is recorded, each chip without an outstanding wake-up is sent one. API and worker each bring their own
way to send; the names of the task, of the queues and of the broker are all they share.
"""

from collections.abc import Callable, Iterable
from typing import Final

TASK_NAME: Final = "hxserve.turn"

WakeUp = Callable[[str], None]
"""Sends a wake-up to the queue of the chip of this id."""


def queue_of(chip: str) -> str:
    """Return the Celery queue of a chip."""
    return f"hxserve.chip.{chip}"


def wake_all(wake_up: WakeUp, chips: Iterable[str]) -> None:
    """Send a wake-up to each of these chips."""
    for chip in chips:
        wake_up(chip)


def broker_url(redis_url: str) -> str:
    """Return the URL of Redis for Celery, in which a Unix socket has another scheme."""
    return redis_url.replace("unix://", "redis+socket://", 1)
