"""Streams of events for pages: what many listen to is read once for all of them, and the streams end by themselves."""

import json
import threading
import time
from collections.abc import Callable, Iterator
from typing import Final, Generic, TypeVar

from flask import Response

from api.application import Application
from services.errors import RedisUnavailableError

_BEAT_S: Final = 1.0
_LONGEST_S: Final = 300.0
"""After so long a listener asks again, so that a session that has ended hears no more."""

Reading = TypeVar("Reading")


class Beat(Generic[Reading]):
    """What a reading of the service gives, taken at most once a second however many ask.

    Args:
        read: takes it.
    """

    def __init__(self, read: Callable[[Application], Reading]) -> None:
        self._read = read
        self._lock = threading.Lock()
        self._due_at = 0.0
        self._newest: Reading | RedisUnavailableError

    def newest(self, app: Application) -> Reading:
        """The reading, not older than a second.

        Raises:
            RedisUnavailableError: Redis did not answer when it was taken.
        """
        with self._lock:
            if time.monotonic() >= self._due_at:
                try:
                    self._newest = self._read(app)
                except RedisUnavailableError as error:
                    self._newest = error
                self._due_at = time.monotonic() + _BEAT_S
            if isinstance(self._newest, RedisUnavailableError):
                raise RedisUnavailableError(self._newest.message)
            return self._newest


def event_stream(app: Application, event: Callable[[], str]) -> Response:
    """A stream of the event that is given each second, or `unavailable`; a comment keeps the line open without one."""
    return Response(
        _beats(app, event),
        content_type="text/event-stream",
        headers={"Cache-Control": "no-store", "X-Accel-Buffering": "no"},
    )


def event_of(kind: str, content: object) -> str:
    """An event as it is sent."""
    return f"event: {kind}\ndata: {json.dumps(content)}\n\n"


def _beats(app: Application, event: Callable[[], str]) -> Iterator[str]:
    until = time.monotonic() + _LONGEST_S
    yield "retry: 1000\n\n"
    while time.monotonic() < until and not app.listener.is_stopping:
        try:
            yield event() or ":\n\n"
        except RedisUnavailableError as error:
            yield event_of("unavailable", {"message": error.message})
        time.sleep(_BEAT_S)
