"""The route that tells what waits, before anything is submitted."""

from collections import Counter
from dataclasses import asdict
from typing import Any

from flask import Blueprint, Response, jsonify

from api.application import Application, application
from api.authentication import current_user
from api.documentation import SPEC, answers
from api.representation import iso, span_json
from api.schemas import DepthAnswer, MinutesQuery, QueueAnswer, QueueQuery
from services.jobs.params import validate_params
from services.jobs.record import JobKind, JobState
from services.scheduling.costs import Cost
from services.scheduling.waiting import Forecast

routes = Blueprint("queue", __name__, url_prefix="/v1")


@routes.get("/queue/depth")
@SPEC.validate(query=MinutesQuery, resp=answers(200, DepthAnswer), tags=["chip"])
def show_depth(query: MinutesQuery) -> Response:
    """Show how much waited in the last minutes."""
    points = application().depths.lately(query.minutes)
    return jsonify({"points": [{**asdict(point), "at": iso(point.at)} for point in points]})


@routes.get("/queue")
@SPEC.validate(query=QueueQuery, resp=answers(200, QueueAnswer), tags=["chip"])
def show_queue(query: QueueQuery) -> Response:
    """Show what waits, and what a job of yours would meet if you submitted it now.

    `kinds` has every kind of long job with its params left out; with `kind` (and the params given beside it) that one.
    """
    app = application()
    forecast = app.waiting.forecast()
    kinds = [JobKind(query.kind)] if query.kind else [kind for kind in JobKind if kind.is_long]
    params = query.model_dump(exclude={"kind"}, exclude_none=True)
    described = {kind: _kind_json(app, forecast, kind, params) for kind in kinds}
    states = Counter(job.state for job in forecast.unfinished.values())
    start = app.waiting.prospect(JobKind.TRAINING, validate_params(JobKind.TRAINING, {}), current_user().name)
    span = start.outlook.start
    return jsonify(
        {
            "crops": crops_json(app),
            "jobs": {
                "running": states[JobState.RUNNING],
                "queued": states[JobState.QUEUED],
                "expected_wait_s": round((span.earliest_s + span.latest_s) / 2, 3) if span else None,
            },
            "kinds": described,
        }
    )


def crops_json(app: Application) -> dict[str, Any]:
    """The crops that wait, as clients see them."""
    waiting = app.chips.waiting_crops()
    serving = [record for record in app.chips.records() if record.is_serving]
    paces = [record.status["crop_s"] for record in serving if record.status.get("crop_s")]
    return {
        "waiting": waiting,
        "expected_wait_s": round(waiting * min(paces) / len(serving), 4) if paces else None,
    }


def _kind_json(app: Application, forecast: Forecast, kind: JobKind, given: dict[str, Any]) -> dict[str, Any]:
    prospect = app.waiting.prospect(kind, validate_params(kind, given), current_user().name)
    states = Counter(job.state for job in forecast.unfinished.values() if job.kind is kind)
    return {
        "running": states[JobState.RUNNING],
        "queued": states[JobState.QUEUED],
        "position": prospect.outlook.position,
        "chip_time_s": _cost_json(prospect.cost),
        "start": span_json(prospect.outlook.start),
        "eta": span_json(prospect.outlook.finish),
    }


def _cost_json(cost: Cost | None) -> dict[str, float] | None:
    if cost is None:
        return None
    return {"low": round(cost.low_s, 2), "median": round(cost.median_s, 2), "high": round(cost.high_s, 2)}
