"""Uploads of data sets: in parts, which resume after any interruption, or all in one form."""

import hashlib
import os
from typing import IO, Any, Final

from flask import Blueprint, Response, request
from pydantic import ValidationError
from werkzeug.datastructures import FileStorage

from api.application import application
from api.authentication import current_user
from api.background import in_thread
from api.documentation import SPEC, answers
from api.routes.jobs import job_response
from api.routes.uploads import PIECE_BYTES, UploadAnswer, answer_of, receive
from api.schemas import JobAnswer
from services.datasets.uploads import DatasetUpload, DeclaredFile, ImportOptions
from services.errors import (
    InvalidInputError,
    NotFoundError,
    RedisUnavailableError,
    UnsupportedMediaError,
)
from services.explanations import explain

_FORM: Final = "multipart/form-data"

routes = Blueprint("dataset_uploads", __name__, url_prefix="/v1/datasets/<name>")


class NewUploadBody(ImportOptions):
    """The files of a data set, before they are sent."""

    files: list[DeclaredFile]


class ImportQuery(ImportOptions):
    """How a data set is made of the files of a form."""


@routes.post("/uploads")
@SPEC.validate(resp=answers(201, UploadAnswer, 403, 409, 413, 415, 507), tags=["data sets"])
def begin_upload(name: str, json: NewUploadBody) -> Any:
    """Begin an upload in parts.

    Each file is then sent in parts in its order, and the upload completed. One that was not added to for a day is
    deleted. The forms of files are those of the page about data sets; several pictures are sent as one zip. With an
    `Idempotency-Key` header, the same request sent again is answered with the same upload, to go on with it.
    """
    options = ImportOptions(test_fraction=json.test_fraction, centre=json.centre)
    key = request.headers.get("Idempotency-Key")
    upload = application().imports.begin(name, json.files, options, current_user(), key)
    return answer_of(upload), 201, {"Location": f"{request.path}/{upload.id}"}


@routes.get("/uploads/<upload>")
@SPEC.validate(resp=answers(200, UploadAnswer, 404), tags=["data sets"])
def show_upload(name: str, upload: str) -> UploadAnswer:
    """Show which parts of an upload have arrived, to go on from there."""
    return answer_of(_find(name, upload))


@routes.put("/uploads/<upload>/files/<int:index>")
@SPEC.validate(resp=answers(200, UploadAnswer, 404, 409, 413, 507), skip_validation=True, tags=["data sets"])
def send_part(name: str, upload: str, index: int) -> Any:
    """Send the next part of a file, which is durable when the answer comes.

    The body is the part itself, and `Content-Range: bytes first-last/size` says where it belongs: the first byte must
    be the one after those that were received, else the answer is 409. What had arrived of a part that was cut off
    counts as received. Without the header the body is the whole file.
    """
    return receive(_find(name, upload), index)


@routes.post("/uploads/<upload>/complete")
@SPEC.validate(resp=answers(202, JobAnswer, 404, 409, 507), tags=["data sets"])
def complete_upload(name: str, upload: str) -> Response:
    """Complete an upload all of which has arrived: a job of the kind `import` makes a version of it.

    The same request sent again is answered with the same job.
    """
    app, user = application(), current_user()
    job_id = app.imports.complete(_find(name, upload), user)
    return job_response(app, app.jobs.get(job_id), 202)


@routes.delete("/uploads/<upload>")
@SPEC.validate(resp=answers(204, None, 404, 409), tags=["data sets"])
def delete_upload(name: str, upload: str) -> Response:
    """Delete an upload that is not complete."""
    application().dataset_uploads.delete(_find(name, upload))
    return Response(status=204)


@routes.post("/versions")
@SPEC.validate(query=ImportQuery, resp=answers(202, JobAnswer, 403, 409, 413, 415, 507), tags=["data sets"])
def upload_dataset(name: str, query: ImportQuery) -> Response:
    """Upload a version of a data set in one form, as a job of the kind `import`.

    Each file is a part of multipart/form-data; the names of fields do not count, those of files may have folders, such
    as `train/7/one.png`. The files are durable when the answer comes. With an `Idempotency-Key` header, the same
    request sent twice is one job.
    """
    if request.mimetype != _FORM:
        raise UnsupportedMediaError(f"the body is of type {request.mimetype!r}; send {_FORM}")
    app, user = application(), current_user()
    files = [file for _, file in request.files.items(multi=True) if file.filename]
    upload = app.imports.begin(name, [*map(_declared, files)], query, user)
    digest = hashlib.sha256(f"{upload.dataset} {query!r}".encode())
    try:
        for index, file in enumerate(files):
            with app.dataset_uploads.receiving(upload, index, 0) as kept:
                digest.update(in_thread(_keep, file, kept))
        job_id = app.imports.complete(
            upload, user, request.headers.get("Idempotency-Key"), digest.hexdigest()
        )
    except RedisUnavailableError:
        raise  # the job may be recorded; housekeeping deletes the files if not
    except Exception:
        app.dataset_uploads.delete(upload)
        raise
    return job_response(app, app.jobs.get(job_id), 202)


def _find(name: str, upload_id: str) -> DatasetUpload:
    """Return an upload of the data set that a path names.

    Raises:
        NotFoundError: there is none for the user.
    """
    app, user = application(), current_user()
    upload = app.dataset_uploads.get(upload_id, user)
    if app.dataset_registry.to_create(user, name) != upload.dataset:
        raise NotFoundError(f"the data set {name!r} has no upload {upload_id!r}")
    return upload


def _declared(file: FileStorage) -> DeclaredFile:
    """Return name and size of a file of a form.

    Raises:
        InvalidInputError: it is empty or its name is too long.
    """
    size = file.stream.seek(0, os.SEEK_END)
    file.stream.seek(0)
    try:
        return DeclaredFile(name=file.filename or "", bytes=size)
    except ValidationError as error:
        raise InvalidInputError(explain(error, DeclaredFile, under=repr(file.filename))) from None


def _keep(file: FileStorage, kept: IO[bytes]) -> bytes:
    """Write a file of a form to the disk; return its digest."""
    digest = hashlib.sha256(f"{file.filename}\n".encode())
    while piece := file.stream.read(PIECE_BYTES):
        digest.update(piece)
        kept.write(piece)
    kept.flush()
    os.fsync(kept.fileno())
    return digest.digest()
