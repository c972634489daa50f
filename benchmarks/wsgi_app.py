"""The Flask app that `wsgi_servers` serves: it waits as the API waits, for an event that another thread sets."""

import os
import threading
import time
from collections import deque
from typing import Any

import redis
from flask import Flask, Response, request

_WAIT_S = 0.005
_POLL_S = 60.0
_STREAM = "crops"


class Bell:
    """Sets events some 5 ms after they are hung up, from one thread."""

    def __init__(self) -> None:
        self._due: deque[tuple[float, threading.Event]] = deque()
        self._more = threading.Event()
        threading.Thread(target=self._run, daemon=True).start()

    def hang(self, event: threading.Event) -> None:
        """Sets the event a few milliseconds from now."""
        self._due.append((time.monotonic() + _WAIT_S, event))
        self._more.set()

    def _run(self) -> None:
        while True:
            self._more.wait()
            self._more.clear()
            while self._due:
                due, event = self._due.popleft()
                time.sleep(max(0.0, due - time.monotonic()))
                event.set()


class Echo:
    """Sends each crop through a Redis stream and sets the event when one thread reads it there."""

    def __init__(self, url: str) -> None:
        self._redis = redis.Redis.from_url(url, max_connections=1000)
        self._events: dict[Any, threading.Event] = {}
        self._start = self._redis.xadd(_STREAM, {"crop": b""})
        threading.Thread(target=self._run, daemon=True).start()

    def send(self, crop: bytes, event: threading.Event) -> None:
        """Records the crop; the event follows when the stream has brought it back."""
        key = os.urandom(8)
        self._events[key] = event
        self._redis.xadd(_STREAM, {"key": key, "crop": crop}, maxlen=10_000, approximate=True)

    def _run(self) -> None:
        last: Any = self._start
        while True:
            found: Any = self._redis.xread({_STREAM: last}, count=200, block=5000)
            for _, entries in found or ():
                last = entries[-1][0]
                for _, fields in entries:
                    self._events.pop(fields[b"key"]).set()


def create_app() -> Flask:
    """The app: `/plain` answers at once, `/wait` after 5 ms, `/redis` after a stream, `/poll` holds on."""
    app = Flask(__name__)
    bell = Bell()
    url = os.environ.get("WSGI_REDIS_URL")
    echo = Echo(url) if url else None
    answer = b'{"digit": 7}\n'

    def answered() -> Response:
        return Response(answer, mimetype="application/json")

    @app.post("/plain")
    def plain() -> Response:
        request.get_data()
        return answered()

    @app.post("/wait")
    def wait() -> Response:
        request.get_data()
        event = threading.Event()
        bell.hang(event)
        event.wait()
        return answered()

    @app.post("/redis")
    def through_redis() -> Response:
        assert echo is not None
        event = threading.Event()
        echo.send(request.get_data(), event)
        event.wait()
        return answered()

    @app.post("/slow")
    def slow() -> Response:
        time.sleep(1.0)
        return answered()

    @app.post("/poll")
    def poll() -> Response:
        threading.Event().wait(_POLL_S)
        return answered()

    return app
