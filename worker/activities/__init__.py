"""Long jobs as the chip works on them: one mini-batch after the other, resumable in between."""

from worker.activities.activity import Activity
from worker.activities.calibration import CalibrationActivity
from worker.activities.evaluation import EvaluationActivity
from worker.activities.training import TrainingActivity
from worker.activities.upload import UploadActivity

__all__ = ["Activity", "CalibrationActivity", "EvaluationActivity", "TrainingActivity", "UploadActivity"]
