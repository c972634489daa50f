"""Comparison of two versions as an activity."""

from dataclasses import asdict
from typing import Any, Final

from services.errors import InvalidInputError
from services.intervals import wilson_interval
from services.jobs.params import ComparisonParams, validate_params
from services.jobs.phases import evaluation_execution
from services.jobs.record import Job, JobKind
from services.models.files import ModelStore
from services.models.paired import PairedTable
from worker.activities.activity import Activity, measured_on, need_chip, with_pictures
from worker.checkpoints import Version, read_version
from worker.chip import ChipSession
from worker.datasets import Datasets
from worker.learning.comparison import Comparer
from worker.learning.mixtures import accuracies_of

_TABLE: Final = ("both_right", "only_candidate", "only_present", "both_wrong")


class ComparisonActivity(Activity):
    """A comparison of a candidate with another version on the test set; short enough to start again after a crash."""

    def __init__(self, job: Job, session: ChipSession, datasets: Datasets, models: ModelStore) -> None:
        params = validate_params(JobKind.COMPARISON, job.params)
        assert isinstance(params, ComparisonParams)
        self._params = params
        self._session = session
        self._dataset = datasets.get_mixture(params.dataset)
        self._execution = evaluation_execution(params, session.backend)
        need_chip(session, self._execution)
        if not len(self._dataset.test_labels):
            raise InvalidInputError(
                f"the data set {self._dataset.name} has no test crops; compare on another one"
            )
        self._candidate = read_version(models, job.model, params.version)
        self._present = read_version(models, job.model, params.against)
        self._comparer = Comparer(
            (self._candidate.manifest.network, self._candidate.weights),
            (self._present.manifest.network, self._present.weights),
            self._dataset.test_images,
            self._dataset.test_labels,
            session.perceptron,
            execution=self._execution,
            mock_parameter=session.mock_parameter,
            repeats=params.repeats,
            seed=params.seed,
        )
        self.steps_total = self._comparer.steps_total

    @property
    def steps_done(self) -> int:
        """Mini-batches read by both versions."""
        return self._comparer.step_count

    @property
    def execution(self) -> str:
        """Where the versions are compared."""
        return self._execution

    def step(self) -> None:
        """Read one mini-batch once with each version."""
        with self._session.guarded():
            self._comparer.step()

    def metrics(self) -> dict[str, Any]:
        """Return the position and the data set."""
        return {
            **super().metrics(),
            "dataset": self._dataset.name,
            "dataset_note": self._dataset.note,
        }

    def complete(self) -> dict[str, Any]:
        """Return both accuracies, the paired table, the difference with its interval, the verdict and examples."""
        report = asdict(self._comparer.report())
        table = PairedTable(**{name: report[name] for name in _TABLE})
        right = {
            "candidate": table.both_right + table.only_candidate,
            "present": table.both_right + table.only_present,
        }
        sides = {
            side: {
                "version": version.manifest.version,
                "accuracy": right[side] / table.crops,
                "accuracies": accuracies_of(self._dataset, correct),
                "interval": wilson_interval(right[side], table.crops),
                "self_disagreement": report[f"{side}_disagreement"],
                "transferred": self._is_transferred(version),
            }
            for side, version, correct in zip(
                ("candidate", "present"),
                (self._candidate, self._present),
                self._comparer.correct,
                strict=True,
            )
        }
        return {
            "version": self._params.version,
            "against": self._params.against,
            "dataset": self._dataset.name,
            "crops": table.crops,
            "repeats": self._params.repeats,
            **measured_on(self._session, self._execution),
            "accuracy": sides["candidate"]["accuracy"],
            **sides,
            "table": {name: report[name] for name in _TABLE},
            "difference": table.difference,
            "difference_interval": table.interval(),
            "p_value": table.p_value,
            "disagreement": report["disagreement"],
            "reading_disagreement": report["reading_disagreement"],
            "margin": self._params.margin,
            "verdict": table.verdict(self._params.margin),
            "differences": with_pictures(self._comparer.differences, self._dataset.test_images),
        }

    def _is_transferred(self, version: Version) -> bool:
        return self._execution == "chip" and version.manifest.is_transferred_to(self._session.identifier)
