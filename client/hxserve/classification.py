"""Images in, predictions out: the requests of one call, and the jobs behind the slow ones."""

import uuid
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

from hxserve.errors import JobFailedError
from hxserve.images import Parcel
from hxserve.job_states import JobState
from hxserve.jobs import Job
from hxserve.predictions import Predictions
from hxserve.transport import Transport, json_object, segment

LONGEST_SERVER_WAIT_S: Final = 60.0


@dataclass(frozen=True, slots=True)
class Manner:
    """Options of requests to classify; the arguments of `Client.classify`."""

    wait_s: float
    deadline_s: float | None
    idempotent: bool
    repeats: int = 1
    allow_transfer: bool = False
    centre: bool = False
    segment: bool = False
    keep: bool | None = None
    sender: str | None = None
    activations: bool = False
    mock: bool = False


def classify_parcels(
    transport: Transport,
    parcels: list[Parcel],
    model: str,
    version: str,
    manner: Manner,
    wait_for: Callable[[Job], Job],
    on_progress: Callable[[int, int], None] | None = None,
) -> Predictions:
    """Classify all parcels; the later requests ask for the version of the first answer.

    `on_progress` is called with how many crops are read, and of how many, before the first request and after each.
    """
    parts: list[Predictions] = []
    done, crops = 0, sum(len(parcel.sources) for parcel in parcels)
    if on_progress:
        on_progress(0, crops)
    for parcel in parcels:
        answer = _send(transport, parcel, model, version, manner)
        if isinstance(answer, Job):
            answer = predictions_of(wait_for(answer), parcel.sources, parcel.thumbnails())
        parts.append(answer)
        version = answer.version
        done += len(parcel.sources)
        if on_progress:
            on_progress(done, crops)
    return Predictions.joined(parts)


def predictions_of(
    job: JobState, sources: tuple[str, ...] | None = None, thumbnails: Sequence[tuple[str, bytes]] = ()
) -> Predictions:
    """Return the predictions of a finished classification; `sources` names the file of each crop.

    Raises:
        JobFailedError: it ended without any, or they are no longer kept.
    """
    result = job.expect_success().outcome
    if result is None:
        raise JobFailedError(job, f"job {job.id} is {job.state} and has no predictions, or no longer")
    return Predictions.from_document(result, sources, thumbnails)


def fresh_key() -> dict[str, str]:
    """Return the header that makes a POST safe to repeat."""
    return {"Idempotency-Key": str(uuid.uuid4())}


def _send(
    transport: Transport, parcel: Parcel, model: str, version: str, manner: Manner
) -> Predictions | Job:
    """Send one parcel; return its predictions, or the job that will have them."""
    of_version = "" if version == "latest" else f"/versions/{segment(version)}"
    wait_s = min(manner.wait_s, LONGEST_SERVER_WAIT_S)
    # A key makes the service keep a record. One that waits does without: classifying twice is harmless.
    key = fresh_key() if manner.idempotent or wait_s <= 0 else {}
    sender = {} if manner.sender is None else {"Hxserve-Sender": manner.sender}
    response = transport.call(
        "POST",
        f"/v1/models/{segment(model)}{of_version}/classify",
        query={
            "wait": f"{wait_s:g}",
            "deadline": None if manner.deadline_s is None else f"{manner.deadline_s:g}",
            "repeats": None if manner.repeats == 1 else str(manner.repeats),
            "allow_transfer": "true" if manner.allow_transfer else None,
            "centre": "true" if manner.centre else None,
            "segment": "true" if manner.segment else None,
            "keep": None if manner.keep is None else str(manner.keep).lower(),
            "activations": "true" if manner.activations else None,
            "mock": "true" if manner.mock else None,
        },
        body=parcel.body,
        headers={"Content-Type": parcel.media_type, **key, **sender},
        wait_s=wait_s,
    )
    document = json_object(response)
    if response.status == 202:
        return Job.from_record(document, response.headers.get("ETag"))
    return Predictions.from_document(document, parcel.sources, parcel.thumbnails())
