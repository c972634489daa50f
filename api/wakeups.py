"""Wake-ups for workers; all that the API knows of Celery is the name of a task."""

from celery import Celery
from kombu.exceptions import OperationalError

from services.chips.wakeups import WakeUp, broker_url, sent_by


def celery_wake_up(redis_url: str) -> WakeUp:
    """Send wake-ups through Celery's queue of each chip."""
    app = Celery("hxserve-api", broker=broker_url(redis_url), set_as_current=False)
    app.conf.update(
        task_serializer="json",
        task_ignore_result=True,
        task_publish_retry_policy={"max_retries": 2, "interval_start": 0.05, "interval_max": 0.2},
        broker_transport_options={
            "socket_timeout": 10,
            "socket_connect_timeout": 5,
            "socket_keepalive": True,
        },
    )
    return sent_by(app.send_task, OperationalError)
