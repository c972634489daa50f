"""Jobs: submit, list, show, cancel, and follow them."""

import re
from collections.abc import Iterator
from typing import Annotated, Final

from flask import Blueprint, Response, request
from pydantic import Field

from api.application import Application, application
from api.authentication import current_user
from api.documentation import SPEC, answers, json_response
from api.event_streams import event_stream
from api.schemas import JobAnswer, Schema
from services.errors import InvalidCursorError
from services.jobs.inspection import Filter
from services.jobs.record import Job, JobKind, JobState
from services.jobs.request import JobRequest
from services.names import Name

_KEEP_ALIVE_S: Final = 15.0
_EVENT_ID: Final = re.compile(r"[0-9]{1,15}(-[0-9]{1,15})?")

routes = Blueprint("jobs", __name__, url_prefix="/v1/jobs")


class JobsAnswer(Schema):
    """A page of jobs, newest first."""

    jobs: list[JobAnswer]
    next_cursor: str | None


class JobsQuery(Schema):
    """A filter of jobs, and a place in the list."""

    state: JobState | None = None
    kind: JobKind | None = None
    user: Name | None = None
    limit: Annotated[int, Field(ge=1, le=200)] = 50
    cursor: Annotated[str, Field(max_length=200)] | None = None


class WaitQuery(Schema):
    """The longest time to wait for a change."""

    wait: Annotated[float, Field(ge=0, le=60, description="Seconds.")] = 0.0


@routes.post("")
@SPEC.validate(resp=answers(202, JobAnswer, 403, 404, 409, 415, 507), tags=["jobs"])
def submit_job(json: JobRequest) -> Response:
    """Submit a long job.

    The job is durable when the answer comes. With an `Idempotency-Key` header, the same request sent twice is one job.
    """
    app = application()
    job = app.submissions.submit(json, current_user(), request.headers.get("Idempotency-Key"))
    return job_response(app, job, 202)


@routes.get("")
@SPEC.validate(resp=answers(200, JobsAnswer), tags=["jobs"])
def list_jobs(query: JobsQuery) -> JobsAnswer:
    """List your jobs, newest first; admins see everybody's."""
    wanted = Filter(query.state, query.kind, query.user)
    page = application().inspections.page(wanted, query.limit, query.cursor, current_user())
    return JobsAnswer(jobs=[JobAnswer.of(view) for view in page.views], next_cursor=page.next_cursor)


@routes.get("/<job_id>")
@SPEC.validate(resp=answers(200, JobAnswer, 304, 404), tags=["jobs"])
def show_job(job_id: str, query: WaitQuery) -> Response:
    """Show a job.

    With `wait`, the answer comes when the job differs from what `If-None-Match` names, or from its present state.
    """
    app, viewer = application(), current_user()
    etags = request.if_none_match
    # A client that polls again holds what this process read last: one reading serves all such clients.
    job = app.subscriptions.peek(job_id) if query.wait and etags else None
    if job is None or not viewer.may_see(job.user) or not etags.contains(_etag(app, job).strip('"')):
        job = app.inspections.job(job_id, viewer)
    if query.wait and (not etags or etags.contains(_etag(app, job).strip('"'))):
        job = app.inspections.wait_for_change(job, query.wait)
    etag = _etag(app, job) if etags else ""
    if etags.contains(etag.strip('"')):
        return Response(status=304, headers={"ETag": etag})
    return job_response(app, job, 200)


@routes.post("/<job_id>/cancel")
@SPEC.validate(resp=answers(200, JobAnswer, 404), tags=["jobs"])
def cancel_job(job_id: str) -> Response:
    """Cancel a job.

    A waiting job is cancelled at once, a running one at its next mini-batch; what a training has learnt is kept as a
    partial version. A client that waits for cancelled crops gets 409 with the code `cancelled`. A finished job stays
    as it is.
    """
    app = application()
    return job_response(app, app.submissions.cancel(job_id, current_user()), 200)


@routes.get("/<job_id>/events")
@SPEC.validate(resp=answers(200, None, 204, 404), tags=["jobs"])
def stream_events(job_id: str) -> Response:
    """Listen to a job.

    Server-sent events, from the first or after `Last-Event-ID`; the stream ends with the job. After the last event of
    a job that has ended there is no content, so that a browser stops asking.
    """
    app = application()
    job = app.inspections.job(job_id, current_user())
    after = request.headers.get("Last-Event-ID", "0")
    if not _EVENT_ID.fullmatch(after):
        raise InvalidCursorError(
            "the Last-Event-ID is not one that this service sent; leave it out to hear all events"
        )
    if job.state.is_final and after != "0" and not app.subscriptions.history(job_id, after):
        return Response(status=204)
    return event_stream(_events(app, job_id, after))


def job_response(app: Application, job: Job, status: int) -> Response:
    """Answer with a job and its ETag."""
    view = app.inspections.view(job)
    response = json_response(JobAnswer.of(view), status)
    response.headers["ETag"] = _etag_at(job, view.outlook.position)
    if status == 202:
        response.headers["Location"] = f"/v1/jobs/{job.id}"
    return response


def _etag(app: Application, job: Job) -> str:
    return _etag_at(job, app.inspections.position(job))


def _etag_at(job: Job, position: int | None) -> str:
    """Return the ETag of a job: its place in the queue changes without its record."""
    place = f"-{position}" if position is not None else ""
    return f'"{job.id}-{job.revision}{place}"'


def _events(app: Application, job_id: str, after: str) -> Iterator[bytes]:
    with app.subscriptions.subscribe(job_id) as subscription:
        while True:
            # The job is read first: if it has ended, its last event is among those read next.
            job = subscription.job
            events = subscription.events(after)
            if events is None:
                events = app.subscriptions.history(job_id, after)
            for event in events:
                after = event.id
                yield b"id: %b\nevent: %b\ndata: %b\n\n" % (
                    event.id.encode(),
                    event.type.encode(),
                    event.data,
                )
            if job.state.is_final or subscription.is_gone or app.listener.is_stopping:
                return
            if not subscription.wait(_KEEP_ALIVE_S):
                yield b": still here\n\n"
