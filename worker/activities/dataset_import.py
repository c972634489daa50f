"""Import of a data set as an activity."""

import time
from collections.abc import Iterator
from functools import partial
from typing import Any, Final

from services.datasets.files import DatasetStore, Prepared, prepare
from services.datasets.manifest import DatasetOrigin, SourceFile
from services.datasets.uploads import DatasetUploads
from services.errors import QuotaExceededError
from services.jobs.params import ImportParams, validate_params
from services.jobs.record import Job, JobKind
from services.jobs.workloads import IMPORT_STEP_BYTES, import_steps
from worker.activities.activity import Activity
from worker.imports.background import in_thread
from worker.imports.collection import Collection
from worker.imports.forms import read_files
from worker.imports.normalisation import Normaliser
from worker.imports.source import Source

_STEP_S: Final = 0.01


class ImportActivity(Activity):
    """An import: files are hashed and read in short steps, crops written beside the chip's work; it starts again."""

    def __init__(self, job: Job, datasets: DatasetStore, uploads: DatasetUploads) -> None:
        params = validate_params(JobKind.IMPORT, job.params)
        assert isinstance(params, ImportParams)
        self._job = job
        self._params = params
        self._datasets = datasets
        upload = uploads.of_job(params.upload)
        self._source = Source(upload.files, partial(uploads.path, upload.id))
        self._unpacked = uploads.scratch(upload.id, "unpacked")
        self._crops = uploads.scratch(upload.id, "crops")
        self._files: list[SourceFile] = []
        self._remarks: list[str] = []
        self._prepared: Prepared | None = None
        self._work = self._import()
        self.steps_total = import_steps(params.bytes)

    @property
    def steps_done(self) -> int:
        """One for each 64 KiB that were hashed or read, and one at the end."""
        if self._prepared is not None:
            return self.steps_total
        return min(self._source.consumed // IMPORT_STEP_BYTES, self.steps_total - 1)

    @property
    def execution(self) -> str:
        """The mock: no chip is needed."""
        return "mock"

    def step(self) -> None:
        """Work for some milliseconds.

        Raises:
            InvalidInputError: the files cannot be read as a data set.
            QuotaExceededError: the crops are larger than the quota allows.
            UnavailableError: this worker lacks what reads a form.
            StorageError: the crops cannot be written.
        """
        before, until = self.steps_done, time.monotonic() + _STEP_S
        for _ in self._work:
            if self.steps_done > before or time.monotonic() >= until:
                return

    def _import(self) -> Iterator[None]:
        self._files = yield from self._source.describe()
        collection = Collection()
        normaliser = Normaliser(centre=self._params.centre)
        try:
            yield from read_files(self._source, collection, normaliser, self._unpacked)
        finally:
            self._source.close()
        division = yield from in_thread(partial(collection.divide, self._params.test_fraction))
        self._remarks = division.remarks
        prepared = yield from in_thread(partial(prepare, self._crops, division.train, division.test))
        most = self._params.most_bytes
        if most is not None and prepared.bytes > most:
            raise QuotaExceededError(
                f"the crops take {prepared.bytes} bytes, and your quota dataset_bytes leaves {most}; delete data sets "
                "that nobody needs, or send fewer crops"
            )
        self._prepared = prepared

    def complete(self) -> dict[str, Any]:
        """Publish the version."""
        assert self._prepared is not None
        manifest = self._datasets.publish_prepared(
            DatasetOrigin(
                name=self._params.dataset,
                user=self._job.user,
                job=self._job.id,
                source="upload",
                files=self._files,
                remarks=self._remarks,
            ),
            self._prepared,
        )
        return {
            "dataset": manifest.name,
            "version": manifest.version,
            "sha256": manifest.sha256,
            "counts": manifest.counts.model_dump(),
            "remarks": manifest.remarks,
        }
