"""Uploads of files in parts, which go on where they stopped, also in another process."""

import hashlib
import json
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, Final

from hxserve.dataset_files import DatasetFile
from hxserve.errors import ConnectionFailedError, InvalidDatasetError, ServiceError
from hxserve.jobs import Job
from hxserve.polling import fetch_job
from hxserve.transport import RETRIED_STATUSES, Transport, json_object, segment

_PART_BYTES: Final = 4 * 2**20
_PAUSE_S: Final = 0.5
_RESUMED_STATUSES: Final = RETRIED_STATUSES | {409}
"""409: the service received another part of the file than this client knows, or still waits for the rest of one."""

OnProgress = Callable[[int, int], None]


def send_dataset(
    transport: Transport,
    name: str,
    files: Sequence[DatasetFile],
    options: Mapping[str, Any],
    patience_s: float,
    on_progress: OnProgress | None = None,
) -> Job:
    """Send the files of a data set; return the job that imports them.

    Files and options that were begun before, in this process or another one, go on where they stopped. `patience_s` is
    the longest time without any progress, `on_progress` is called with the bytes received and those of all files.

    Raises:
        ServiceError: the service refused.
        ConnectionFailedError: the service stayed away.
        InvalidDatasetError: a file was changed meanwhile.
    """
    path = f"/v1/datasets/{segment(name)}/uploads"
    upload = send_files(transport, path, files, options, "", patience_s, on_progress)
    response = transport.call("POST", f"{path}/{upload}/complete")
    return Job.from_record(json_object(response), response.headers.get("ETag"))


def send_files(
    transport: Transport,
    uploads: str,
    files: Sequence[DatasetFile],
    options: Mapping[str, Any],
    purpose: str,
    patience_s: float,
    on_progress: OnProgress | None = None,
) -> str:
    """Send files as an upload; return its id.

    Args:
        transport: to the service.
        uploads: the path of its uploads.
        files: to send.
        options: of the upload.
        purpose: what they are sent for: the same files for another one are another upload.
        patience_s: the longest time without any progress.
        on_progress: called with the bytes received and those of all files.

    Raises:
        ServiceError: the service refused.
        ConnectionFailedError: the service stayed away.
        InvalidDatasetError: a file was changed meanwhile.
    """
    upload = _begin(transport, uploads, files, options, purpose)
    path = f"{uploads}/{upload['upload']}"
    received = [file["received"] for file in upload["files"]]
    total = sum(file.size_bytes for file in files)
    for index, file in enumerate(files):

        def report(count: int, index: int = index) -> None:
            received[index] = count
            if on_progress:
                on_progress(sum(received), total)

        report(received[index])
        _send_file(transport, path, index, file, received[index], patience_s, report)
    return str(upload["upload"])


def _begin(
    transport: Transport,
    path: str,
    files: Sequence[DatasetFile],
    options: Mapping[str, Any],
    purpose: str,
) -> dict[str, Any]:
    """Return a new upload, or the one that was begun for the same files and whose job has not ended."""
    body = {"files": [{"name": file.name, "bytes": file.size_bytes} for file in files], **options}
    named = [body, [file.sha256 for file in files], *([purpose] if purpose else ())]
    key = _digest(json.dumps(named, sort_keys=True))
    while True:
        upload = transport.call_json("POST", path, json=body, headers={"Idempotency-Key": key})
        job_id = upload["job"]
        if job_id is None or not _has_ended(transport, job_id):
            return upload
        key = _digest(key + job_id)


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def _has_ended(transport: Transport, job_id: str) -> bool:
    try:
        job = fetch_job(transport, job_id)
    except ServiceError as error:
        if error.status != 404:
            raise
        return True
    return job is None or job.is_final


def _send_file(
    transport: Transport,
    path: str,
    index: int,
    file: DatasetFile,
    received: int,
    patience_s: float,
    report: Callable[[int], None],
) -> None:
    """Send the rest of a file part by part, again from what was received after a lost connection."""
    progressed_at = time.monotonic()
    while received < file.size_bytes:
        known = received
        try:
            for part in _parts(file, received):
                answer = transport.call_json(
                    "PUT",
                    f"{path}/files/{index}",
                    body=part,
                    headers={
                        "Content-Type": "application/octet-stream",
                        "Content-Range": f"bytes {received}-{received + len(part) - 1}/{file.size_bytes}",
                    },
                )
                received = answer["files"][index]["received"]
                report(received)
        except (ConnectionFailedError, ServiceError) as error:
            if isinstance(error, ServiceError) and error.status not in _RESUMED_STATUSES:
                raise
            if received > known:
                progressed_at = time.monotonic()
            received, known = _ask(transport, path, index, received), received
            if received > known:
                progressed_at = time.monotonic()
                report(received)
            elif time.monotonic() - progressed_at > patience_s:
                raise
            else:
                time.sleep(_PAUSE_S)


def _ask(transport: Transport, path: str, index: int, known: int) -> int:
    """Return the number of bytes of a file that were received; as known, if the service does not answer now."""
    try:
        received: int = transport.call_json("GET", path)["files"][index]["received"]
    except (ConnectionFailedError, ServiceError) as error:
        if not error.retryable:
            raise
        return known
    return received


def _parts(file: DatasetFile, start: int) -> Iterator[bytes]:
    """Yield the rest of a file in parts.

    Raises:
        InvalidDatasetError: it was changed since it was announced.
    """
    part, left = bytearray(), file.size_bytes - start
    for piece in file.pieces(start):
        part += piece
        while len(part) >= _PART_BYTES:
            left -= _PART_BYTES
            if left < 0:
                break
            yield bytes(part[:_PART_BYTES])
            del part[:_PART_BYTES]
    if len(part) != left:
        raise InvalidDatasetError(f"{file.name} was changed while it was sent; send it again")
    if part:
        yield bytes(part)
