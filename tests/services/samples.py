"""Jobs, checkpoints, crops and answers for tests: complete, small, and told apart by what a test names."""

import hashlib
import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Final

import msgpack
import numpy as np
from numpy.typing import NDArray

from services.chips.store import Lease
from services.crops.answers import CROP_BYTES, Answer, Provenance
from services.crops.claims import Entry, Finished
from services.crops.extras import Extras
from services.crops.lanes import Lane
from services.crops.requests import CropRequest, JobReference
from services.crops.store import Acceptance, CropStore
from services.errors import HxserveError
from services.jobs.acceptance import NO_KEY, Idempotency
from services.jobs.record import Job, JobKind
from services.jobs.store import JobStore
from services.jobs.submission import new_job
from services.models.manifest import Origin
from services.networks.network import Network
from services.programs.operations import Operation
from services.users.authentication import User
from services.users.quotas import UNLIMITED, Quotas

CHIP: Final = "chip-1"
PLENTY: Final = 1_000_000
LONG_AGO_S: Final = -3600.0
"""A deadline that has passed."""
ADA: Final = Lane("digits", "1", "ada")
SCORED: Final = slice(401, 411)
"""The pixels, in the middle of a crop, that `scores_of` reads."""

ORIGIN: Final[dict[str, Any]] = {
    "name": "digits",
    "user": "ada",
    "job": "job-1",
    "network": Network.perceptron([8], shift=1, num_sends=[1, 1]),
    "recipe": {"name": "strong"},
    "metrics": {"accuracy": 0.9},
    "dataset": {"name": "digits", "sha256": "0"},
    "execution": "mock",
    "backend": "mock",
    "chip": CHIP,
    "identifier": "mock",
    "calibration": None,
    "gain": 0.002,
    "noise_std": 2.0,
    "score_scale": 0.1,
    "seed": 3,
    "software": {"hxserve": "0"},
}


def an_origin(**changes: Any) -> Origin:
    """What an author says of a checkpoint."""
    return Origin(**(ORIGIN | changes))


def a_job(kind: JobKind = JobKind.TRAINING, user: str = "ada", model: str = "digits") -> Job:
    """A job that is not recorded yet."""
    return new_job(kind, User(user), model, {})


def a_holder(name: str = "first") -> dict[str, Any]:
    """A worker on another machine."""
    return {"host": name, "pid": 1, "pid_namespace": "pid:[1]", "started": "boot:1"}


def some_crops(count: int, seed: int = 0) -> bytes:
    """Crops that differ from each other and from those of another seed."""
    return np.random.default_rng(seed).bytes(count * CROP_BYTES)


def an_operation(session: str, batch: int = 2, seed: int = 0) -> Operation:
    """An operation of a matrix of (3, 4), with weights of its own."""
    random = np.random.default_rng(seed)
    inputs = random.integers(0, 32, (batch, 3), np.uint8).tobytes()
    weights = random.integers(-63, 64, (3, 4), np.int8).tobytes()
    return Operation(session, 3, 4, inputs, weights, hashlib.sha256(weights).hexdigest(), 1, 5)


def scores_of(crops: bytes) -> NDArray[np.int8]:
    """The scores `(count, 10)` that the tests' chip gives crops: half of ten pixels of each."""
    table = np.frombuffer(crops, np.uint8).reshape(-1, CROP_BYTES)
    return (table[:, SCORED] // 2).astype(np.int8)


@dataclass(frozen=True, slots=True)
class AcceptedCrops:
    """A request that was accepted: the id it has, its (last) entry, the chips to wake.

    `id` is that of the earlier request's job, and there is no entry, where its key was `repeated`.
    """

    id: str
    entry: str = ""
    asleep: tuple[str, ...] = ()
    repeated: bool = False


def acceptance(
    parts: Sequence[bytes],
    *,
    request_id: str = "",
    lane: Lane = ADA,
    job: Job | None = None,
    waits: bool = True,
    deadline_s: float | None = None,
    repeats: int = 1,
    idempotency: Idempotency = NO_KEY,
    quotas: Quotas = UNLIMITED,
    extras: Extras = Extras.NONE,
) -> Acceptance:
    """A request of these parts, as the store accepts it; it has a record if it has a `job`."""
    request = CropRequest(
        user=User(lane.user, quotas=quotas),
        model=lane.model,
        version=lane.version,
        crops=b"".join(parts),
        wait_s=1.0 if waits else 0.0,
        deadline_s=deadline_s,
        repeats=repeats,
        idempotency=idempotency,
        extras=extras,
    )
    counted = [(len(part) // CROP_BYTES, part) for part in parts]
    return Acceptance(request_id or (job.id if job else "request"), lane, counted, request, job)


def accept(
    crops: CropStore,
    parts: Sequence[bytes],
    *,
    lane: Lane = ADA,
    job: Job | None = None,
    recorded: bool = True,
    reply_to: str = "",
    deadline_s: float | None = None,
    idempotency: Idempotency = NO_KEY,
    quotas: Quotas = UNLIMITED,
) -> tuple[Job, AcceptedCrops]:
    """One request of these parts; its client waits if there is a stream to reply to.

    Raises:
        HxserveError: it was refused.
    """
    job = job or a_job(JobKind.CLASSIFICATION, lane.user, lane.model)
    request = acceptance(
        parts,
        request_id=job.id,
        lane=lane,
        job=job if recorded else None,
        waits=bool(reply_to),
        deadline_s=deadline_s,
        idempotency=idempotency,
        quotas=quotas,
    )
    asleep, [outcome] = crops.accept(reply_to, [request])
    match outcome:
        case HxserveError():
            raise outcome
        case JobReference(job_id, is_repeated):
            return job, AcceptedCrops(job_id, repeated=is_repeated)
    return job, AcceptedCrops(job.id, outcome, tuple(asleep))


def answer_to(entry: Entry, slot: int = 0, batch_crops: int | None = None) -> Answer:
    """What the tests' chip answers to a part."""
    return Answer(
        digits=scores_of(entry.crops).argmax(axis=1).astype(np.uint8).tobytes(),
        scores=scores_of(entry.crops).tobytes(),
        confidences=np.full(entry.count, 0.5, np.float32).tobytes(),
        slot=slot,
        waiting_s=0.001,
        provenance=Provenance(
            model=entry.lane.model,
            version=entry.lane.version,
            chip=CHIP,
            backend="mock",
            calibration=None,
            transferred=False,
            batch_crops=batch_crops or entry.count,
            chip_s=0.002,
        ),
    )


def finish(crops: CropStore, lease: Lease, entries: Iterable[Entry]) -> None:
    """Answers entries as one batch."""
    entries = list(entries)
    total = sum(entry.count for entry in entries)
    finished: list[Finished] = []
    replies: dict[str, list[tuple[str, int, bytes]]] = {}
    slot = 0
    for entry in entries:
        packed = answer_to(entry, slot, total).pack()
        slot += entry.count
        finished.append(Finished(entry, packed))
        if entry.reply_to:
            replies.setdefault(entry.reply_to, []).append((entry.id, entry.part, packed))
    packed_replies = {stream: msgpack.packb(batch) for stream, batch in replies.items()}
    crops.finish(lease, finished, packed_replies, {entry.lane.user: 0.001 for entry in entries})


def events_of(jobs: JobStore, job_id: str, after: str = "0") -> list[tuple[str, float, Any]]:
    """Return events of a job after the one named: id, Unix time and content of each, oldest first."""
    _, events = jobs.get_with_events(job_id, after=after)
    return [(event_id, float(at), json.loads(event)) for event_id, at, event in events]
