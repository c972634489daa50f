"""Correcting answers, collecting labelled crops, and closing them into a version of a data set."""

import hashlib
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from services.corrections.accuracy import VersionAccuracy
from services.corrections.publication import Publication, oldest_first
from services.corrections.record import Correction, Source
from services.corrections.store import CorrectionStore
from services.crops.answers import CROP_BYTES
from services.crops.classification import Classifications
from services.crops.lanes import PART_CROPS
from services.cursors import read_cursor, write_cursor
from services.datasets.manifest import DatasetManifest
from services.errors import (
    AnswerNotKeptError,
    ConflictError,
    CorrectionNotFoundError,
    InvalidInputError,
    JobNotFoundError,
)
from services.jobs.record import Job
from services.jobs.store import JobStore
from services.models.registry import Registry
from services.users.authentication import User

_PAGE: Final = 500


@dataclass(frozen=True, slots=True)
class CorrectionPage:
    """Some open corrections, and the cursor of the next ones."""

    corrections: list[Correction]
    next_cursor: str | None


@dataclass(frozen=True, slots=True)
class Closed:
    """The version that has the corrections, and the number of those that were closed now."""

    manifest: DatasetManifest
    corrections: int


class Corrections:
    """The corrections of users; each user sees only their own, admins too."""

    def __init__(
        self,
        store: CorrectionStore,
        jobs: JobStore,
        classifications: Classifications,
        models: Registry,
        publication: Publication,
    ) -> None:
        self._store = store
        self._jobs = jobs
        self._classifications = classifications
        self._models = models
        self._publication = publication

    @property
    def keep_s(self) -> float:
        """The retention of an open correction, seconds."""
        return self._store.keep_s

    def add(self, user: User, answer: str, index: int, digit: int | None) -> Correction:
        """Correct or confirm one crop of a kept answer; it is durable when this returns.

        Args:
            user: the sender of the crop.
            answer: the answer's id.
            index: of the crop in it, from 0.
            digit: the right digit, None for a crop that shows none.

        Raises:
            AnswerNotKeptError: the user has no such answer that is kept.
            ConflictError: it is not there yet.
            InvalidInputError: the answer has no crop of this index.
            QuotaExceededError: too many corrections are open.
        """
        job = self._kept(user, answer)
        result = self._classifications.result_of(job)
        if result is None:
            if not job.state.is_final:
                raise ConflictError(f"the crops of {answer} are not read yet; correct them once they are")
            raise AnswerNotKeptError(f"the answer {answer} is not kept (any more)")
        predictions = result["predictions"]
        if index >= len(predictions):
            raise InvalidInputError(f"the answer has {len(predictions)} crops, so there is no index {index}")
        read = predictions[index]
        part, place = divmod(index, PART_CROPS)
        facts = {
            "answer": answer,
            "index": index,
            "read": read["digit"],
            "confidence": read["confidence"],
            "model": result["model"],
            "version": result["version"],
        }
        return self._store.add(user, f"{answer}-{index}", digit, part, place, facts)

    def add_labelled(
        self, user: User, crops: NDArray[np.uint8], labels: Sequence[int | None], source: Source
    ) -> list[str]:
        """Collect crops that come with their labels and without an answer, all or none; return their ids.

        The same crop from the same source is one correction, and its last label counts.

        Args:
            user: their owner.
            crops: `(n, 28, 28)` uint8, bright on dark.
            labels: the digit of each, 0..9, None for a crop that shows none.
            source: where they come from.

        Raises:
            InvalidInputError: crops and labels do not fit together.
            QuotaExceededError: too many corrections would be open.
        """
        if crops.shape != (len(labels), 28, 28) or crops.dtype != np.uint8:
            raise InvalidInputError(
                f"expected uint8 crops of shape ({len(labels)}, 28, 28), got {crops.dtype} of {crops.shape}"
            )
        if any(label is not None and not 0 <= label <= 9 for label in labels):
            raise InvalidInputError(f"expected labels 0..9 or none, got {list(labels)}")
        labelled = [
            Correction(_id_of(user, source, crop), label, source, 0.0, crop)
            for crop, label in zip((image.tobytes() for image in crops), labels, strict=True)
        ]
        if labelled:
            self._store.add_labelled(user, labelled)
        return [correction.id for correction in labelled]

    def withdraw_labelled(self, user: User, crops: bytes, source: Source) -> None:
        """Withdraw crops, 784 bytes each, that came with labels; one that is not open stays as it is."""
        for start in range(0, len(crops), CROP_BYTES):
            with suppress(CorrectionNotFoundError, ConflictError):
                self._store.delete(user, _id_of(user, source, crops[start : start + CROP_BYTES]))

    def page(self, user: User, limit: int, cursor: str | None) -> CorrectionPage:
        """Return open corrections, the newest word first, from a cursor on.

        Raises:
            InvalidCursorError: the cursor is not one of ours.
        """
        found = self._store.open(user, limit + 1, read_cursor(cursor) if cursor else None)
        shown = found[:limit]
        more = len(found) > limit
        return CorrectionPage(shown, write_cursor((shown[-1].at, shown[-1].id)) if more else None)

    def delete(self, user: User, correction_id: str) -> None:
        """Withdraw an open correction; its outcome is not counted any more.

        Raises:
            CorrectionNotFoundError: the user has none of this id.
            ConflictError: it is closed.
        """
        self._store.delete(user, correction_id)

    def forget_kept(self, user: User) -> int:
        """Delete the crops that are kept of a user for correction; return the number of answers."""
        return self._store.forget_kept(user)

    def close(self, user: User, dataset: str) -> Closed:
        """Publish all open corrections in a version of a data set, with all that its newest version has.

        The version is published whole or not at all, and then the corrections count as closed, all of them or none. A
        closing that was interrupted between is completed by the next one: what the newest version has makes no new one.

        Raises:
            ConflictError: nothing is open that could be published, and the data set does not exist.
            ForbiddenError: the data set would be another's.
            InvalidInputError: the name cannot be given.
            QuotaExceededError: the user's data sets would be too large.
            DiskLowError: there is no room for another version.
            StorageError: the folder cannot be written.
        """
        name = self._publication.name_of(user, dataset)
        with self._publication.alone():
            corrections = oldest_first(self._all_open(user))
            manifest = self._publication.publish(user, name, corrections)
            closed = self._store.close(user, corrections, manifest.reference) if corrections else 0
        return Closed(manifest, closed)

    def accuracies(self, user: User) -> list[VersionAccuracy]:
        """Return the accuracy in production of each version that has corrections and that a user may see."""
        seen = set(self._models.names(user))
        return [found for found in self._store.accuracies() if found.model in seen]

    def _kept(self, user: User, answer: str) -> Job:
        try:
            job = self._jobs.get(answer)
        except JobNotFoundError:
            job = None
        if job is None or job.user != user.name or not job.params.get("keep"):
            raise AnswerNotKeptError(
                f"no answer {answer!r} of yours is kept; send the crops again with keep=true"
            )
        return job

    def _all_open(self, user: User) -> Iterator[Correction]:
        place = None
        while found := self._store.open(user, _PAGE, place):
            yield from found
            place = found[-1].at, found[-1].id


def _id_of(user: User, source: Source, crop: bytes) -> str:
    return f"{source}-{hashlib.sha256(user.name.encode() + b' ' + crop).hexdigest()[:24]}"
