"""Repeatability as an activity."""

from typing import Any

import numpy as np

from services.jobs.params import RepeatabilityParams, validate_params
from services.jobs.record import Job, JobKind
from services.models.files import ModelStore
from worker.activities.activity import Activity
from worker.checkpoints import read_version
from worker.chip import ChipSession
from worker.datasets import Datasets
from worker.learning.inference import Classifier

_CROPS = 100


class RepeatabilityActivity(Activity):
    """Reads the same crops again and again; one reading of all is a step."""

    def __init__(self, job: Job, session: ChipSession, datasets: Datasets, models: ModelStore) -> None:
        params = validate_params(JobKind.REPEATABILITY, job.params)
        assert isinstance(params, RepeatabilityParams)
        version = read_version(models, job.model, params.version)
        self._session = session
        self._crops = datasets.get("auto").test_images[:_CROPS].flatten(1).numpy()
        self._classifier = Classifier(
            version.manifest.network,
            version.weights,
            session.perceptron,
            mock=session.execution == "mock",
        )
        self._scores = np.empty((0, len(self._crops), 10))
        self.steps_total = params.readings

    @property
    def steps_done(self) -> int:
        """Readings of all crops."""
        return len(self._scores)

    def step(self) -> None:
        """Read all crops once."""
        with self._session.guarded():
            scores = self._classifier.scores(self._crops)
        self._scores = np.concatenate([self._scores, scores[None]])

    def complete(self) -> dict[str, Any]:
        """Return the share of crops that were read as one digit every time, and the noise of a score in LSB."""
        digits = self._scores.argmax(axis=2)
        return {
            "unanimous": float((digits == digits[0]).all(axis=0).mean()),
            "noise_lsb": float(self._scores.std(axis=0).mean()),
            "crops": len(self._crops),
        }
