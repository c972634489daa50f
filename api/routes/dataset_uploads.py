"""Uploads of data sets: in parts, which resume after any interruption, or all in one form."""

import hashlib
import os
import re
from collections.abc import Callable
from pathlib import Path
from typing import IO, Annotated, Any, Final

from flask import Blueprint, Response, request
from pydantic import Field, ValidationError
from werkzeug.datastructures import FileStorage

from api.application import application
from api.authentication import current_user
from api.background import in_thread
from api.documentation import SPEC, answers
from api.routes.jobs import job_response
from api.schemas import JobAnswer, Schema
from services.datasets.uploads import DatasetUpload, DeclaredFile, ImportOptions
from services.errors import (
    InvalidInputError,
    NotFoundError,
    RedisUnavailableError,
    UnsupportedMediaError,
)
from services.explanations import explain
from services.files import storage_errors

_PIECE_BYTES: Final = 64 * 1024
_RANGE: Final = re.compile(r"bytes (\d{1,16})-(\d{1,16})/(\d{1,16})")
_FORM: Final = "multipart/form-data"

routes = Blueprint("dataset_uploads", __name__, url_prefix="/v1/datasets/<name>")


class NewUploadBody(ImportOptions):
    """The files of a data set, before they are sent."""

    files: list[DeclaredFile]


class ImportQuery(ImportOptions):
    """How a data set is made of the files of a form."""


class ReceivedFile(Schema):
    """A file of an upload, and the part of it that has arrived."""

    name: str
    bytes: int
    received: int


class UploadAnswer(Schema):
    """An upload, and the parts of its files that have arrived."""

    upload: str
    dataset: str
    files: list[ReceivedFile]
    job: Annotated[str | None, Field(description="The job that imports it; null until it is complete.")]


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
    return _answer(upload), 201, {"Location": f"{request.path}/{upload.id}"}


@routes.get("/uploads/<upload>")
@SPEC.validate(resp=answers(200, UploadAnswer, 404), tags=["data sets"])
def show_upload(name: str, upload: str) -> UploadAnswer:
    """Show which parts of an upload have arrived, to go on from there."""
    return _answer(_find(name, upload))


@routes.put("/uploads/<upload>/files/<int:index>")
@SPEC.validate(resp=answers(200, UploadAnswer, 404, 409, 413, 507), skip_validation=True, tags=["data sets"])
def send_part(name: str, upload: str, index: int) -> Any:
    """Send the next part of a file, which is durable when the answer comes.

    The body is the part itself, and `Content-Range: bytes first-last/size` says where it belongs: the first byte must
    be the one after those that were received, else the answer is 409. What had arrived of a part that was cut off
    counts as received. Without the header the body is the whole file.
    """
    found = _find(name, upload)
    start, length = _place(found, index, request.headers.get("Content-Range"))
    uploads = application().dataset_uploads
    with uploads.receiving(found, index, start) as file:
        _copy(request.stream.read, file, length, uploads.path(found.id, index))
    return _answer(found)


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


def _answer(upload: DatasetUpload) -> UploadAnswer:
    received = application().dataset_uploads.received(upload)
    files = [
        ReceivedFile(name=file.name, bytes=file.bytes, received=count)
        for file, count in zip(upload.files, received, strict=True)
    ]
    return UploadAnswer(upload=upload.id, dataset=upload.dataset, files=files, job=upload.job or None)


def _place(upload: DatasetUpload, index: int, content_range: str | None) -> tuple[int, int]:
    """Return where a part begins, and its length.

    Raises:
        NotFoundError: there is no such file.
        InvalidInputError: the part does not fit the file or its body.
    """
    if index >= len(upload.files):
        raise NotFoundError(f"the upload has no file {index}; it has {len(upload.files)}, from 0")
    size = upload.files[index].bytes
    first, last = 0, size - 1
    if content_range is not None:
        found = _RANGE.fullmatch(content_range.strip())
        if found is None:
            raise InvalidInputError(
                f"Content-Range is {content_range!r}; expected bytes first-last/size, such as bytes 0-99/{size}"
            )
        first, last, given = map(int, found.groups())
        if given != size or not first <= last < size:
            raise InvalidInputError(
                f"Content-Range is {content_range!r}, but {upload.files[index].name!r} has {size} bytes"
            )
    length = last + 1 - first
    if request.content_length not in {None, length}:
        raise InvalidInputError(f"the body has {request.content_length} bytes; the part has {length}")
    return first, length


def _copy(read: Callable[[int], bytes], file: IO[bytes], length: int, path: Path) -> None:
    """Write a part as it arrives; it is on the disk when this returns, and what came of one that is cut off stays.

    Raises:
        InvalidInputError: the body is shorter or longer than the part.
        StorageError: the file cannot be written.
    """
    left = length
    while left and (piece := read(min(left, _PIECE_BYTES))):
        with storage_errors(path):
            file.write(piece)
        left -= len(piece)
    with storage_errors(path):
        file.flush()
        in_thread(os.fsync, file.fileno())
    if left or read(1):
        raise InvalidInputError(
            f"the body is {'shorter' if left else 'longer'} than the part of {length} bytes"
        )


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
    while piece := file.stream.read(_PIECE_BYTES):
        digest.update(piece)
        kept.write(piece)
    kept.flush()
    os.fsync(kept.fileno())
    return digest.digest()
