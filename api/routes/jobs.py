"""Routes of jobs."""

import re
from collections.abc import Iterator
from typing import Final

from flask import Blueprint, Response, jsonify, request

from api.application import Application, application
from api.authentication import current_user
from api.documentation import SPEC, answers
from api.representation import etag_of, job_json
from api.schemas import JobAnswer, JobsAnswer, JobsQuery, WaitQuery
from services.errors import InvalidCursorError
from services.jobs.inspection import Filter
from services.jobs.params import JobRequest
from services.jobs.record import Job, JobKind, JobState

_HEARTBEAT_S: Final = 15.0
_EVENT_ID: Final = re.compile(r"[0-9]{1,15}(-[0-9]{1,15})?")

routes = Blueprint("jobs", __name__, url_prefix="/v1/jobs")


@routes.post("")
@SPEC.validate(json=JobRequest, resp=answers(202, JobAnswer, 403, 404, 409, 415, 507), tags=["jobs"])
def submit_job(json: JobRequest) -> Response:
    """Submit a long job.

    The job is durable when the answer comes. With an `Idempotency-Key` header the same request twice is one job.
    """
    app = application()
    job = app.submissions.submit(json, current_user(), request.headers.get("Idempotency-Key"))
    return job_response(app, job, 202)


@routes.get("")
@SPEC.validate(query=JobsQuery, resp=answers(200, JobsAnswer), tags=["jobs"])
def list_jobs(query: JobsQuery) -> Response:
    """List your jobs, newest first; admins see everybody's."""
    wanted = Filter(
        JobState(query.state) if query.state else None,
        JobKind(query.kind) if query.kind else None,
        query.user,
    )
    page = application().inspections.page(wanted, query.limit, query.cursor, current_user())
    return jsonify({"jobs": [job_json(view) for view in page.views], "next_cursor": page.next_cursor})


@routes.get("/<job_id>")
@SPEC.validate(query=WaitQuery, resp=answers(200, JobAnswer, 304, 404), tags=["jobs"])
def show_job(job_id: str, query: WaitQuery) -> Response:
    """Show a job.

    With `wait`, the answer comes when the job differs from what `If-None-Match` names, or from what it is now.
    """
    app, viewer = application(), current_user()
    etags = request.if_none_match
    # Who polls again knows what this process read last: then it need not be read for each of them.
    job = app.watches.peek(job_id) if query.wait and etags else None
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

    What waits is cancelled at once, what runs at its next mini-batch; of a training what it learnt is kept as a
    partial version. Whoever waits for the answer of cancelled crops gets 409 with the code `cancelled`. A finished job
    stays as it is.
    """
    app = application()
    return job_response(app, app.submissions.cancel(job_id, current_user()), 200)


@routes.get("/<job_id>/events")
@SPEC.validate(resp=answers(200, None, 404), tags=["jobs"])
def stream_events(job_id: str) -> Response:
    """Listen to a job.

    Server-sent events, from the first or after `Last-Event-ID`; the stream ends with the job.
    """
    app = application()
    app.inspections.job(job_id, current_user())
    after = request.headers.get("Last-Event-ID", "0")
    if not _EVENT_ID.fullmatch(after):
        raise InvalidCursorError(
            "the Last-Event-ID is not one this service gave out; leave it out to hear all"
        )
    return Response(
        _events(app, job_id, after),
        content_type="text/event-stream",
        headers={"Cache-Control": "no-store", "X-Accel-Buffering": "no"},
    )


def job_response(app: Application, job: Job, status: int) -> Response:
    """A job as an answer."""
    view = app.inspections.view(job)
    response = jsonify(job_json(view))
    response.status_code = status
    response.headers["ETag"] = etag_of(job, view.outlook.position)
    if status == 202:
        response.headers["Location"] = f"/v1/jobs/{job.id}"
    return response


def _etag(app: Application, job: Job) -> str:
    return etag_of(job, app.inspections.position(job))


def _events(app: Application, job_id: str, after: str) -> Iterator[bytes]:
    with app.watches.watching(job_id) as watch:
        while True:
            # The job first: if it has ended, the event of that is among those asked for next.
            job = watch.job
            happenings = watch.happenings(after)
            if happenings is None:
                happenings = app.watches.history(job_id, after)
            for happening in happenings:
                after = happening.id
                yield b"id: %b\nevent: %b\ndata: %b\n\n" % (
                    happening.id.encode(),
                    happening.type.encode(),
                    happening.data,
                )
            if job.state.is_final or watch.is_gone or app.listener.is_stopping:
                return
            if not watch.wait(_HEARTBEAT_S):
                yield b": still here\n\n"
