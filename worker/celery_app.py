"""The Celery application: one queue, one task, and the settings that make a lost message harmless."""

from collections.abc import Callable
from typing import Any, Final

from celery import Celery
from celery.app.amqp import AMQP
from celery.signals import setup_logging
from kombu.connection import Connection
from kombu.exceptions import OperationalError

from services.chips.wakeups import TASK_NAME, WakeUp, broker_url, queue_of, sent_by

_LONGEST_PAUSE_S: Final = 1.0


class _EagerConnection(Connection):
    """Looks every second whether Redis is back; kombu's own pauses grow to half a minute."""

    def ensure_connection(self, *arguments: Any, **options: Any) -> Any:
        """Wait for the broker."""
        pauses = {"interval_start": 0.1, "interval_step": 0.1, "interval_max": _LONGEST_PAUSE_S}
        ensure: Any = super().ensure_connection
        return ensure(*arguments, **{**options, **pauses})


class _EagerAmqp(AMQP):  # type: ignore[misc] # celery ships no types
    """Celery's way to make connections, with ours."""

    Connection = _EagerConnection


def create_app(redis_url: str, chip: str, turn: Callable[[], bool]) -> Celery:
    """Return an application whose only task calls `turn`, and sends a wake-up while work is left."""
    setup_logging.connect(_leave_logging_alone)
    app = Celery("hxserve", broker=broker_url(redis_url), amqp=_EagerAmqp, set_as_current=False)
    app.conf.update(
        task_default_queue=queue_of(chip),
        task_serializer="json",
        accept_content=["json"],
        task_ignore_result=True,
        task_acks_late=True,
        worker_prefetch_multiplier=1,
        worker_pool="solo",
        worker_concurrency=1,
        worker_redirect_stdouts=False,
        broker_connection_retry_on_startup=True,
        broker_connection_max_retries=None,
        # True would lose the running turn when Redis restarts.
        worker_cancel_long_running_tasks_on_connection_loss=False,
        broker_transport_options={
            # A turn takes a second or two; messages of a killed worker are delivered again after this.
            "visibility_timeout": 60,
            # Messages of dead consumers are restored every 10 s, not every 100 s.
            "unacked_restore_throttle": 1,
            "socket_timeout": 10,
            "socket_keepalive": True,
            "health_check_interval": 15,
        },
    )

    @app.task(name=TASK_NAME)  # type: ignore[untyped-decorator] # celery ships no types
    def take_turn() -> None:
        if turn():
            send_wake_up(app)(chip)

    return app


def _leave_logging_alone(**_: Any) -> None:
    """Receive the signal for setting up logging, so that Celery leaves the root logger's level as it is."""


def send_wake_up(app: Celery) -> WakeUp:
    """Return the sender of wake-ups through this application."""
    return sent_by(app.send_task, OperationalError)
