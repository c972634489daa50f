"""Server-sent events for pages: each state is read once for all listeners, and every stream ends by itself."""

import json
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from typing import Any, Final, Generic, TypeVar

from flask import Response, current_app

from api.application import Application, application
from services.errors import RedisUnavailableError

_INTERVAL_S: Final = 1.0
_MAX_DURATION_S: Final = 300.0
"""Then a listener connects again, so that a session that has ended receives nothing more."""

State = TypeVar("State")


class Snapshot(Generic[State]):
    """A state of the service, read at most once a second however many streams show it."""

    def __init__(self, read: Callable[[Application], State]) -> None:
        self._read = read
        self._lock = threading.Lock()
        self._expires_at = 0.0
        self._latest: State | RedisUnavailableError

    def latest(self, app: Application) -> State:
        """Return the state, at most a second old.

        Raises:
            RedisUnavailableError: Redis did not answer when it was read.
        """
        with self._lock:
            if time.monotonic() >= self._expires_at:
                try:
                    self._latest = self._read(app)
                except RedisUnavailableError as error:
                    self._latest = error
                self._expires_at = time.monotonic() + _INTERVAL_S
            if isinstance(self._latest, RedisUnavailableError):
                raise RedisUnavailableError(self._latest.message)
            return self._latest


def stream_state(read: Callable[[Application], State], event_of: Callable[[State], str]) -> Response:
    """Stream an event each second, or `unavailable`; an empty text becomes a comment that keeps the connection open.

    `read` reads the state that all streams of this kind share, `event_of` gives this listener's event.
    """
    snapshots: dict[Any, Snapshot[State]] = current_app.extensions["snapshots"]
    snapshot = snapshots.setdefault(read, Snapshot(read))
    return event_stream(_events(application(), lambda app: event_of(snapshot.latest(app))))


def event_stream(events: Iterable[str] | Iterable[bytes]) -> Response:
    """Return a response that proxies neither keep nor hold back."""
    headers = {"Cache-Control": "no-store", "X-Accel-Buffering": "no"}
    return Response(events, content_type="text/event-stream", headers=headers)


def format_event(kind: str, content: object) -> str:
    """Format an event."""
    return f"event: {kind}\ndata: {json.dumps(content)}\n\n"


def _events(app: Application, event: Callable[[Application], str]) -> Iterator[str]:
    ends_at = time.monotonic() + _MAX_DURATION_S
    yield "retry: 1000\n\n"
    while time.monotonic() < ends_at and not app.listener.is_stopping:
        try:
            yield event(app) or ":\n\n"
        except RedisUnavailableError as error:
            yield format_event("unavailable", {"message": error.message})
        time.sleep(_INTERVAL_S)
