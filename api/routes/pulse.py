"""What happens here, as it happens: one stream for whoever watches the whole service."""

import json
import threading
import time
from collections import Counter
from collections.abc import Iterator
from typing import Any, Final

from flask import Blueprint, Response, current_app
from flask.blueprints import BlueprintSetupState

from api.application import Application, application
from api.documentation import SPEC, answers
from api.routes.chip import chip_json
from api.routes.queue import crops_json
from services.errors import RedisUnavailableError
from services.jobs import JobState

routes = Blueprint("pulse", __name__, url_prefix="/v1")

_BEAT_S: Final = 1.0
_LONGEST_S: Final = 300.0
"""After so long a listener asks again, so that a session that has ended hears no more."""


class Pulse:
    """How the service is, taken at most once a second however many listen."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._taken_at = -_BEAT_S
        self._beat = ""

    def beat(self, app: Application) -> str:
        """The state of chips and queue as an event, with a mark that changes with every change of a job."""
        with self._lock:
            if time.monotonic() - self._taken_at >= _BEAT_S:
                self._beat = _take(app)
                self._taken_at = time.monotonic()
            return self._beat


@routes.record_once
def _begin(state: BlueprintSetupState) -> None:
    state.app.extensions["pulse"] = Pulse()


@routes.get("/pulse")
@SPEC.validate(resp=answers(200, None), tags=["chip"])
def stream_pulse() -> Response:
    """Listen to the service: server-sent events once a second, with `chips`, `queue` and `changes`.

    `changes` is another text as soon as any job has changed.
    """
    return Response(
        _beats(application(), current_app.extensions["pulse"]),
        content_type="text/event-stream",
        headers={"Cache-Control": "no-store", "X-Accel-Buffering": "no"},
    )


def _beats(app: Application, pulse: Pulse) -> Iterator[str]:
    until = time.monotonic() + _LONGEST_S
    yield "retry: 1000\n\n"
    while time.monotonic() < until and not app.listener.is_stopping:
        yield pulse.beat(app)
        time.sleep(_BEAT_S)


def _take(app: Application) -> str:
    try:
        states = Counter(job.state for job in app.jobs.unfinished())
        state: dict[str, Any] = {
            "chips": [chip_json(record) for record in app.chips.records()],
            "queue": {
                "crops": crops_json(app),
                "jobs": {"running": states[JobState.RUNNING], "queued": states[JobState.QUEUED]},
            },
            "changes": app.jobs.newest_change(),
        }
    except RedisUnavailableError as error:
        return f"event: unavailable\ndata: {json.dumps({'message': error.message})}\n\n"
    return f"event: pulse\ndata: {json.dumps(state)}\n\n"
