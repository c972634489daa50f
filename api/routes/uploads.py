"""Uploads of files in parts, which resume after any interruption: files of a batch job, and what all uploads share."""

import os
import re
from collections.abc import Callable
from pathlib import Path
from typing import IO, Annotated, Any, Final

from flask import Blueprint, Response, request
from pydantic import Field

from api.application import application
from api.authentication import current_user
from api.background import in_thread
from api.documentation import SPEC, answers
from api.schemas import Schema
from services.datasets.uploads import DatasetUpload, DeclaredFile
from services.errors import InvalidInputError, NotFoundError
from services.files import storage_errors

PIECE_BYTES: Final = 64 * 1024
_RANGE: Final = re.compile(r"bytes (\d{1,16})-(\d{1,16})/(\d{1,16})")

routes = Blueprint("uploads", __name__, url_prefix="/v1/uploads")


class NewFilesBody(Schema):
    """Files of crops, before they are sent."""

    files: list[DeclaredFile]


class ReceivedFile(Schema):
    """A file of an upload, and the part of it that has arrived."""

    name: str
    bytes: int
    received: int


class UploadAnswer(Schema):
    """An upload, and the parts of its files that have arrived."""

    upload: str
    dataset: Annotated[str | None, Field(description="Of which it becomes a version; null for a batch job.")]
    files: list[ReceivedFile]
    job: Annotated[
        str | None, Field(description="The job that imports or reads it; null until there is one.")
    ]


@routes.post("")
@SPEC.validate(resp=answers(201, UploadAnswer, 403, 409, 413, 415, 507), tags=["jobs"])
def begin_files(json: NewFilesBody) -> Any:
    """Begin an upload of files of crops, for a job of the kind `batch`.

    Each file is then sent in parts in its order, and the job submitted with `{"upload": id}` among its params. The
    forms of files are those of the page about batch jobs. An upload that was not added to for a day is deleted. With an
    `Idempotency-Key` header, the same request sent again is answered with the same upload, to go on with it.
    """
    key = request.headers.get("Idempotency-Key")
    upload = application().imports.begin_files(json.files, current_user(), key)
    return answer_of(upload), 201, {"Location": f"{request.path}/{upload.id}"}


@routes.get("/<upload>")
@SPEC.validate(resp=answers(200, UploadAnswer, 404), tags=["jobs"])
def show_files(upload: str) -> UploadAnswer:
    """Show which parts of an upload have arrived, to go on from there."""
    return answer_of(_find(upload))


@routes.put("/<upload>/files/<int:index>")
@SPEC.validate(resp=answers(200, UploadAnswer, 404, 409, 413, 507), skip_validation=True, tags=["jobs"])
def send_file_part(upload: str, index: int) -> Any:
    """Send the next part of a file, which is durable when the answer comes.

    The body is the part itself, and `Content-Range: bytes first-last/size` says where it belongs: the first byte must
    be the one after those that were received, else the answer is 409. What had arrived of a part that was cut off
    counts as received. Without the header the body is the whole file.
    """
    return receive(_find(upload), index)


@routes.delete("/<upload>")
@SPEC.validate(resp=answers(204, None, 404, 409), tags=["jobs"])
def delete_files(upload: str) -> Response:
    """Delete an upload that no job reads."""
    application().dataset_uploads.delete(_find(upload))
    return Response(status=204)


def _find(upload_id: str) -> DatasetUpload:
    """Return an upload for a batch job.

    Raises:
        NotFoundError: there is none for the user.
    """
    upload = application().dataset_uploads.get(upload_id, current_user())
    if upload.dataset:
        raise NotFoundError(f"the upload {upload_id!r} is of the data set {upload.dataset}")
    return upload


def answer_of(upload: DatasetUpload) -> UploadAnswer:
    """Return an upload with what has arrived of it."""
    received = application().dataset_uploads.received(upload)
    files = [
        ReceivedFile(name=file.name, bytes=file.bytes, received=count)
        for file, count in zip(upload.files, received, strict=True)
    ]
    return UploadAnswer(upload=upload.id, dataset=upload.dataset or None, files=files, job=upload.job or None)


def receive(upload: DatasetUpload, index: int) -> UploadAnswer:
    """Take the part of a file that the present request sends.

    Raises:
        NotFoundError: there is no such file.
        InvalidInputError: the part does not fit the file or its body.
        ConflictError: the part does not follow on what was received.
        StorageError: the file cannot be written.
    """
    start, length = _place(upload, index, request.headers.get("Content-Range"))
    uploads = application().dataset_uploads
    with uploads.receiving(upload, index, start) as file:
        _copy(request.stream.read, file, length, uploads.path(upload.id, index))
    return answer_of(upload)


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
    while left and (piece := read(min(left, PIECE_BYTES))):
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
