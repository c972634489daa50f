"""The answers of batch jobs, as files in the form that the client wants."""

from collections.abc import Iterator
from typing import Annotated, Any

from flask import Blueprint, Response
from pydantic import Field

from api.application import application
from api.authentication import current_user
from api.background import in_thread
from api.documentation import SPEC, answers
from api.schemas import Schema
from services.batch_jobs.exports import MEDIA_TYPES, Form, export
from services.errors import NotFoundError
from services.jobs.record import JobKind

routes = Blueprint("batches", __name__, url_prefix="/v1/jobs/<job_id>")


class AnswersQuery(Schema):
    """The form of a file of answers."""

    format: Annotated[Form, Field(description="Of the file.")] = "npz"


@routes.get("/answers")
@SPEC.validate(query=AnswersQuery, resp=answers(200, None, 404), tags=["jobs"])
def download_answers(job_id: str, query: AnswersQuery) -> Response:
    """Download the answers of a batch job, all that there are: also while it runs, and after it was cancelled.

    `csv`, `jsonl` and `parquet` have a row for each crop: its number, the name of its picture, digit, confidence,
    scores, why it could not be read, and the chip call that read it with chip, backend, calibration and version. `npz`
    has the arrays `digits` (255: could not be read), `scores`, `confidences` and `calls` by crop, `call_s`, `called_at`
    and `call_source` by chip call, and in `facts`, a JSON text, the sources of calls, names and problems.
    """
    app = application()
    job = app.inspections.job(job_id, current_user())
    if job.kind is not JobKind.BATCH:
        raise NotFoundError(f"job {job_id} is no batch job but a {job.kind}; its result is in its record")
    pieces = export(app.batches.paths(job_id), query.format)
    first = _next(pieces)
    return Response(
        _all(first, pieces),
        mimetype=None,
        headers={
            "Content-Type": MEDIA_TYPES[query.format],
            "Content-Disposition": f'attachment; filename="{job_id}.{query.format}"',
            "Cache-Control": "no-store",
        },
    )


def _all(first: bytes | None, pieces: Iterator[bytes]) -> Iterator[bytes]:
    """Yield the pieces of a file; each is made beside the other requests."""
    piece = first
    while piece is not None:
        if piece:
            yield piece
        piece = _next(pieces)


def _next(pieces: Iterator[bytes]) -> Any:
    return in_thread(next, pieces, None)
