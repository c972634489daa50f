"""The activity of each kind of job, made of the parts of one worker."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import assert_never

from services.batch_jobs.answers import BatchStore
from services.datasets.files import DatasetStore
from services.datasets.uploads import DatasetUploads
from services.errors import InvalidInputError
from services.jobs.record import Job, JobKind
from services.models.files import ModelStore
from services.models.uploads import Uploads
from worker.activities.activity import Activity
from worker.activities.batch import BatchActivity
from worker.activities.calibration import CalibrationActivity
from worker.activities.comparison import ComparisonActivity
from worker.activities.dataset_import import ImportActivity
from worker.activities.evaluation import EvaluationActivity
from worker.activities.staircase import StaircaseActivity
from worker.activities.training import TrainingActivity
from worker.activities.upload import UploadActivity
from worker.checkpoints import Saves
from worker.chip import ChipSession
from worker.datasets import Datasets
from worker.serving import LoadedVersions


@dataclass(frozen=True, slots=True)
class ActivityFactory:
    """Makes activities; `after_calibration` is called when a calibration was loaded."""

    session: ChipSession
    datasets: Datasets
    models: ModelStore
    saves: Saves
    uploads: Uploads
    stored: DatasetStore
    imported: DatasetUploads
    versions: LoadedVersions
    answers: BatchStore
    batch_crops: int
    after_calibration: Callable[[], None]

    def take_up(self, job: Job) -> Activity:
        """Return the activity of a job, from its last save if there is one.

        Raises:
            HxserveError: the job cannot be done here.
        """
        parts = job, self.session, self.datasets, self.models
        activity: Activity
        match job.kind:
            case JobKind.TRAINING:
                activity = TrainingActivity(*parts, self.saves)
            case JobKind.EVALUATION:
                activity = EvaluationActivity(*parts)
            case JobKind.COMPARISON:
                activity = ComparisonActivity(*parts)
            case JobKind.STAIRCASE:
                activity = StaircaseActivity(*parts)
            case JobKind.BATCH:
                activity = BatchActivity(
                    *parts[:3],
                    self.versions,
                    self.imported,
                    self.answers,
                    batch_crops=self.batch_crops,
                )
            case JobKind.UPLOAD:
                activity = UploadActivity(*parts, self.uploads)
            case JobKind.IMPORT:
                activity = ImportActivity(job, self.stored, self.imported)
            case JobKind.CALIBRATION:
                activity = CalibrationActivity(self.session, self.after_calibration)
            case JobKind.CLASSIFICATION | JobKind.PROGRAM:
                raise InvalidInputError(f"a {job.kind} is not worked on in slices")
            case _:
                assert_never(job.kind)
        return activity
