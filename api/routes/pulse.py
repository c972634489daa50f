"""The state of the whole service as a stream of events."""

from collections import Counter

from flask import Blueprint, Response

from api.application import Application
from api.documentation import SPEC, answers
from api.event_streams import format_event, stream_state
from api.routes.chip import ChipsAnswer
from api.routes.queue import WaitingCropsAnswer
from services.jobs.record import JobState

routes = Blueprint("pulse", __name__, url_prefix="/v1")


@routes.get("/pulse")
@SPEC.validate(resp=answers(200, None), tags=["chip"])
def stream_pulse() -> Response:
    """Listen to the service: server-sent events once a second, with `chips`, `queue` and `changes`.

    The text `changes` differs as soon as any job has changed.
    """
    return stream_state(_read, str)


def _read(app: Application) -> str:
    states = Counter(job.state for job in app.jobs.unfinished())
    operations = app.programs.queue(None)
    queue = {
        "crops": WaitingCropsAnswer.read(app).model_dump(),
        "operations": {"sessions": operations.sessions, "waiting": operations.waiting},
        "jobs": {"running": states[JobState.RUNNING], "queued": states[JobState.QUEUED]},
    }
    chips = ChipsAnswer.of(app.chips.records()).model_dump()
    return format_event("pulse", {**chips, "queue": queue, "changes": app.jobs.newest_change()})
