"""What happens here, as it happens: one stream for whoever watches the whole service."""

from collections import Counter

from flask import Blueprint, Response, current_app
from flask.blueprints import BlueprintSetupState

from api.application import Application, application
from api.beats import Beat, event_of, event_stream
from api.documentation import SPEC, answers
from api.routes.chip import chip_json
from api.routes.queue import crops_json
from services.jobs.record import JobState

routes = Blueprint("pulse", __name__, url_prefix="/v1")


@routes.record_once
def _begin(state: BlueprintSetupState) -> None:
    state.app.extensions["pulse"] = Beat(_take)


@routes.get("/pulse")
@SPEC.validate(resp=answers(200, None), tags=["chip"])
def stream_pulse() -> Response:
    """Listen to the service: server-sent events once a second, with `chips`, `queue` and `changes`.

    `changes` is another text as soon as any job has changed.
    """
    app, pulse = application(), current_app.extensions["pulse"]
    return event_stream(app, lambda: str(pulse.newest(app)))


def _take(app: Application) -> str:
    """The state of chips and queue as an event, with a mark that changes with every change of a job."""
    states = Counter(job.state for job in app.jobs.unfinished())
    return event_of(
        "pulse",
        {
            "chips": [chip_json(record) for record in app.chips.records()],
            "queue": {
                "crops": crops_json(app),
                "jobs": {"running": states[JobState.RUNNING], "queued": states[JobState.QUEUED]},
            },
            "changes": app.jobs.newest_change(),
        },
    )
