"""Jobs, checkpoints, crops and answers for tests: complete, small, and told apart by what a test names."""

import time
from collections.abc import Iterable, Sequence
from typing import Any, Final

import msgpack
import numpy as np
from numpy.typing import NDArray

from services.chips.store import Lease
from services.crops.answers import CROP_BYTES, Answer, Provenance
from services.crops.parcels import Entry, Finished, Lane
from services.crops.store import CropStore
from services.jobs.record import Job, JobKind
from services.jobs.store import Accepted, Idempotency
from services.jobs.submission import new_job
from services.models.manifest import NetworkShape, Origin
from services.users.authentication import User

CHIP: Final = "chip-1"
PLENTY: Final = 1_000_000
SCORED: Final = slice(401, 411)
"""The pixels, in the middle of a crop, that `scores_of` reads."""

ORIGIN: Final[dict[str, Any]] = {
    "name": "digits",
    "user": "ada",
    "job": "job-1",
    "network": NetworkShape(hidden=[8], shift=1, num_sends=[1, 1]),
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


def scores_of(crops: bytes) -> NDArray[np.int8]:
    """The scores `(count, 10)` that the tests' chip gives crops: half of ten pixels of each."""
    table = np.frombuffer(crops, np.uint8).reshape(-1, CROP_BYTES)
    return (table[:, SCORED] // 2).astype(np.int8)


def accept(
    crops: CropStore,
    parts: Sequence[bytes],
    *,
    lane: Lane | None = None,
    job: Job | None = None,
    recorded: bool = True,
    reply_to: str = "",
    deadline_at: float | None = None,
    idempotency: Idempotency | None = None,
) -> tuple[Job, Accepted]:
    """One request of these parts."""
    lane = lane or Lane("digits", "1", "ada")
    job = job or a_job(JobKind.CLASSIFICATION, lane.user, lane.model)
    accepted = crops.accept(
        lane,
        job.id,
        [(len(part) // CROP_BYTES, part) for part in parts],
        reply_to=reply_to,
        deadline_at=deadline_at,
        record=job if recorded else None,
        idempotency=idempotency or Idempotency(),
    )
    return job, accepted


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


def long_ago() -> float:
    """A deadline that has passed."""
    return time.time() - 3600
