"""Long jobs as the chip works on them: one mini-batch after the other, resumable in between."""

from worker.activities.activity import Activity
from worker.activities.batch import BatchActivity
from worker.activities.calibration import CalibrationActivity
from worker.activities.comparison import ComparisonActivity
from worker.activities.dataset_import import ImportActivity
from worker.activities.evaluation import EvaluationActivity
from worker.activities.staircase import StaircaseActivity
from worker.activities.training import TrainingActivity
from worker.activities.upload import UploadActivity

__all__ = [
    "Activity",
    "BatchActivity",
    "CalibrationActivity",
    "ComparisonActivity",
    "EvaluationActivity",
    "ImportActivity",
    "StaircaseActivity",
    "TrainingActivity",
    "UploadActivity",
]
