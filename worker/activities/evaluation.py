"""Evaluation as an activity."""

from dataclasses import asdict
from typing import Any

from services.jobs.params import EvaluationParams, validate_params
from services.jobs.phases import evaluation_execution
from services.jobs.record import Job, JobKind
from services.models.files import ModelStore
from worker.activities.activity import Activity, measured_on, need_chip, with_pictures
from worker.checkpoints import read_version
from worker.chip import ChipSession
from worker.datasets import Datasets
from worker.learning.evaluation import Evaluator
from worker.learning.mixtures import accuracies_of


class EvaluationActivity(Activity):
    """A measurement of a version on the test set; short enough to start again after a crash."""

    def __init__(self, job: Job, session: ChipSession, datasets: Datasets, models: ModelStore) -> None:
        params = validate_params(JobKind.EVALUATION, job.params)
        assert isinstance(params, EvaluationParams)
        self._params = params
        self._session = session
        self._dataset = datasets.get_mixture(params.dataset)
        self._execution = evaluation_execution(params, session.backend)
        need_chip(session, self._execution)
        version = read_version(models, job.model, params.version)
        identifier = session.identifier
        self._transferred = self._execution == "chip" and version.manifest.is_transferred_to(identifier)
        self._evaluator = Evaluator(
            version.manifest.network,
            version.weights,
            self._dataset.test_images,
            self._dataset.test_labels,
            session.perceptron,
            execution=self._execution,
            mock_parameter=session.mock_parameter,
            logit_scale=version.manifest.score_scale,
            repeats=params.repeats,
            seed=params.seed,
        )
        self.steps_total = self._evaluator.steps_total

    @property
    def steps_done(self) -> int:
        """Mini-batches run."""
        return self._evaluator.step_count

    @property
    def execution(self) -> str:
        """Where the version is measured."""
        return self._execution

    def step(self) -> None:
        """Read one mini-batch."""
        with self._session.guarded():
            self._evaluator.step()

    def metrics(self) -> dict[str, Any]:
        """Return the position and the data set."""
        return {
            **super().metrics(),
            "dataset": self._dataset.name,
            "dataset_note": self._dataset.note,
        }

    def complete(self) -> dict[str, Any]:
        """Return accuracy, loss, confusion matrix (rows: true digit, columns: read digit) and the worst mistakes."""
        return {
            **asdict(self._evaluator.report()),
            "accuracies": accuracies_of(self._dataset, self._evaluator.correct),
            **measured_on(self._session, self._execution),
            "mistakes": with_pictures(self._evaluator.mistakes, self._dataset.test_images),
            "version": self._params.version,
            "transferred": self._transferred,
            "dataset": self._dataset.name,
        }
