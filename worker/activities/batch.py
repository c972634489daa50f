"""Batch jobs as an activity: files of crops, read chip call by chip call, whose answers are kept in parts."""

import time
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import asdict
from functools import partial
from typing import Any, Final

import numpy as np

from services.batch_jobs.answers import BatchStore
from services.batch_jobs.parts import CallOrigin, Totals
from services.datasets.uploads import DatasetUploads
from services.errors import InvalidInputError
from services.jobs.params import BatchParams, validate_params
from services.jobs.record import Job, JobKind
from worker.activities.activity import Activity, measured_on
from worker.activities.batch_answers import UnkeptAnswers
from worker.chip import ChipSession
from worker.datasets import Datasets
from worker.imports.normalisation import Normaliser
from worker.imports.source import Source
from worker.imports.unlabelled import MOST_UNPACKED_BYTES, CropFile, Piece, crops_in_memory, find_crops
from worker.serving import LoadedVersions

_FIRST_CROPS: Final = 16
"""Of the first chip call, which tells how long a crop takes."""
_CALL_S: Final = 0.25
"""So long a chip call may take: crops of requests wait meanwhile."""
_READING_S: Final = 0.01
"""So long a step reads files before it reads what it has on the chip."""


class BatchActivity(Activity):
    """The crops of files or a data set, read by one version; it goes on from the last part of its answers."""

    looks_every_s = 0.02

    def __init__(
        self,
        job: Job,
        session: ChipSession,
        datasets: Datasets,
        versions: LoadedVersions,
        uploads: DatasetUploads,
        answers: BatchStore,
        *,
        batch_crops: int,
    ) -> None:
        params = validate_params(JobKind.BATCH, job.params)
        assert isinstance(params, BatchParams)
        self._job = job
        self._params = params
        self._session = session
        self._version = versions.get(job.model, params.version)
        self._store = answers
        self._most_crops = max(1, batch_crops // params.repeats)
        self._call_crops = min(_FIRST_CROPS, self._most_crops)
        self._kept = answers.totals(job.id)
        self._unkept = UnkeptAnswers(self._kept)
        self._files: list[CropFile] = []
        self._opened = ExitStack()
        self._pieces = self._pieces_of(self._find(datasets, uploads))
        self._gathered: list[Piece] = []
        self._counted: int | None = None
        self._has_all = False
        self.steps_total = max(params.expected_crops or 0, self.steps_done, 1)

    @property
    def steps_done(self) -> int:
        """Crops that were read or cannot be."""
        return self._kept.crops + self._unkept.totals.crops

    @property
    def finished(self) -> bool:
        """True if no crop is left, or no chip time."""
        return self._is_read or self._is_spent

    @property
    def execution(self) -> str:
        """Where the version serves."""
        return self._session.execution

    def step(self) -> None:
        """Read files for some milliseconds, and what they gave on the chip.

        Raises:
            InvalidInputError: a file cannot be read.
            UnavailableError: this worker lacks what reads a file.
            ChipError: the chip failed.
            StorageError: a file cannot be unpacked.
        """
        until = time.monotonic() + _READING_S
        count = sum(len(piece.crops) for piece in self._gathered)
        while not self._has_all and count < self._call_crops and time.monotonic() < until:
            try:
                piece = next(self._pieces)
            except StopIteration:
                self._has_all = True
                self.steps_total = max(1, self.steps_done + count)
            except InvalidInputError:
                self._has_all = True
                self.save()
                raise
            else:
                if piece is not None:
                    self._gathered.append(piece)
                    count += len(piece.crops)
        if count:
            self._read()

    def metrics(self) -> dict[str, Any]:
        """Return the position and the sums so far; those by digit are of the last save."""
        totals = self._totals
        return {
            **super().metrics(),
            "chip_s": round(totals.chip_s, 3),
            "digits": totals.digits,
            "unreadable": totals.unreadable,
        }

    def save(self) -> None:
        """Keep the answers since the last part as the next one."""
        if self._unkept.totals.crops:
            part = self._unkept.part(self._version)
            self._store.keep(self._job.id, part)
            self._kept = self._kept.plus(part.facts.totals)
            self._unkept = UnkeptAnswers(self._kept)

    def complete(self) -> dict[str, Any]:
        """Keep the rest; return the sums, where the crops were read, and which files they were."""
        self.save()
        totals = self._kept
        read = totals.crops - totals.unreadable
        first, files = 0, []
        for file in self._files:
            files.append({"name": file.name, "first": first, "crops": file.count})
            first += file.count
        return {
            "version": self._params.version,
            "crops": max(self.steps_total, totals.crops),
            **{name: value for name, value in asdict(totals).items() if name not in {"crops", "confidence"}},
            "answered": totals.crops,
            "mean_confidence": totals.confidence / read if read else None,
            "stopped_by": self._stopped_by,
            "files": files,
            "transferred": self._version.manifest.is_transferred_to(self._session.identifier),
            **measured_on(self._session, self.execution),
        }

    def keep_part(self) -> dict[str, Any]:
        """Return the result so far, whose answers are kept."""
        return self.complete()

    @property
    def _totals(self) -> Totals:
        return self._kept.plus(self._unkept.totals)

    @property
    def _stopped_by(self) -> str | None:
        """What left crops without answers; None if each has one, although the end of a file may not be read."""
        if self._is_read or (self._counted is not None and self.steps_done >= self._counted):
            return None
        return "max_chip_s" if self._is_spent else "cancel"

    @property
    def _is_read(self) -> bool:
        """Whether the files were read to their ends, and the last of their crops on the chip."""
        return self._has_all and not self._gathered

    @property
    def _is_spent(self) -> bool:
        most = self._params.max_chip_s
        return most is not None and self._totals.chip_s >= most

    def _find(self, datasets: Datasets, uploads: DatasetUploads) -> Iterator[CropFile | None]:
        """Return the files of crops one after the other; None while they are looked for."""
        params = self._params
        if params.upload is None:
            dataset = datasets.get(params.dataset or "auto")
            parts = {"train": dataset.train_images, "test": dataset.test_images}
            for part, images in parts.items():
                if params.part in {"all", part}:
                    yield crops_in_memory(f"{dataset.name}, {part}", images.numpy())
            return
        upload = uploads.of_job(params.upload)
        source = Source(upload.files, partial(uploads.path, upload.id), MOST_UNPACKED_BYTES)
        self._opened.callback(source.close)
        looking = find_crops(source, Normaliser(centre=params.centre), uploads.scratch(upload.id, "unpacked"))
        while True:
            try:
                next(looking)
            except StopIteration as ended:
                yield from ended.value
                return
            yield None

    def _pieces_of(self, found: Iterator[CropFile | None]) -> Iterator[Piece | None]:
        """Return the crops that have no answer yet; None where a step ends without any."""
        with self._opened:
            for file in found:
                if file is not None:
                    self._files.append(file)
                yield None
            self._counted = self.steps_total = max(1, sum(file.count for file in self._files))
            skipped = self._kept.crops
            for file in self._files:
                if skipped < file.count:
                    yield from file.read(skipped)
                skipped = max(0, skipped - file.count)

    def _read(self) -> None:
        """Read the crops that were gathered, at most as many as one call takes."""
        pieces, left = [], self._call_crops
        while self._gathered and left:
            piece = self._gathered.pop(0)
            if len(piece.crops) > left:
                self._gathered.insert(0, Piece(piece.crops[left:], piece.name, piece.problem))
                piece = Piece(piece.crops[:left], piece.name, piece.problem)
            left -= len(piece.crops)
            pieces.append(piece)
        crops = np.concatenate([piece.crops for piece in pieces])
        readable = np.repeat([not piece.problem for piece in pieces], [len(piece.crops) for piece in pieces])
        if not readable.all():
            crops = crops[readable]
        started = time.monotonic()
        with self._session.guarded():
            scores = self._version.read_scores(crops, self._params.repeats) if len(crops) else None
        call_s = time.monotonic() - started
        self._unkept.add(pieces, readable, scores, call_s, self._source)
        if scores is not None:
            self._call_crops = min(self._most_crops, max(1, int(_CALL_S / max(call_s, 1e-6) * len(crops))))

    @property
    def _source(self) -> CallOrigin:
        calibration = self._session.calibration or {}
        return CallOrigin(
            model=self._job.model,
            version=self._params.version,
            chip=self._session.chip,
            backend=self._session.backend,
            calibration={name: value for name, value in calibration.items() if name != "age_s"} or None,
            transferred=self._version.manifest.is_transferred_to(self._session.identifier),
            repeats=self._params.repeats,
        )
