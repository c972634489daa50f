"""The staircase of a version as an activity."""

from typing import Any

from services.intervals import wilson_interval
from services.jobs.params import StaircaseParams, StairName, validate_params
from services.jobs.phases import stairs_of
from services.jobs.record import Job, JobKind
from services.models.files import ModelStore
from worker.activities.activity import Activity, measured_on
from worker.activities.training import recipe_of
from worker.checkpoints import read_version
from worker.chip import ChipSession
from worker.datasets import Datasets
from worker.learning.evaluation import Evaluator
from worker.learning.training import Trainer


class StaircaseActivity(Activity):
    """Measurements of a version from float32 to the chip, and after a short training in its loop.

    What is learnt in the loop is measured and dropped. Nothing is saved: it starts again after a crash.
    """

    def __init__(self, job: Job, session: ChipSession, datasets: Datasets, models: ModelStore) -> None:
        params = validate_params(JobKind.STAIRCASE, job.params)
        assert isinstance(params, StaircaseParams)
        self._params = params
        self._session = session
        self._dataset = datasets.get_mixture(params.dataset)
        self._version = read_version(models, job.model, params.version)
        with session.guarded():
            self._stairs: dict[str, Evaluator | Trainer] = {
                stair: self._open(stair) for stair in stairs_of(params, session.backend)
            }
        self.steps_total = sum(stair.steps_total for stair in self._stairs.values())

    def _open(self, stair: StairName) -> Evaluator | Trainer:
        """Return the work of one step."""
        session, version, dataset = self._session, self._version, self._dataset
        if stair == "loop":
            assert self._params.training is not None
            return Trainer(
                recipe_of(self._params.training),
                version.manifest.network,
                dataset,
                session.perceptron,
                execution="chip",
                mock_parameter=session.mock_parameter,
                start_from=version.weights,
            )
        return Evaluator(
            version.manifest.network,
            version.weights,
            dataset.test_images,
            dataset.test_labels,
            session.perceptron,
            execution=stair,
            mock_parameter=session.mock_parameter,
            logit_scale=version.manifest.score_scale,
            seed=self._params.seed,
        )

    @property
    def steps_done(self) -> int:
        """Mini-batches run."""
        return sum(stair.step_count for stair in self._stairs.values())

    @property
    def execution(self) -> str:
        """The present step of the staircase, or the last one."""
        return next(
            (name for name, stair in self._stairs.items() if not stair.finished), list(self._stairs)[-1]
        )

    def step(self) -> None:
        """Run one mini-batch of the present step."""
        with self._session.guarded():
            self._stairs[self.execution].step()

    def metrics(self) -> dict[str, Any]:
        """Return the position, the names of all steps, and the steps measured so far."""
        return {
            **super().metrics(),
            "stairs": list(self._stairs),
            "steps": self._measured(),
            "dataset": self._dataset.name,
            "dataset_note": self._dataset.note,
        }

    def complete(self) -> dict[str, Any]:
        """Return each step with its accuracy and interval, and the accuracy of the last one."""
        steps = self._measured()
        execution = _execution_of(list(self._stairs)[-1])
        identifier = self._session.identifier
        return {
            "steps": steps,
            "accuracy": steps[-1]["accuracy"],
            "crops": len(self._dataset.test_labels),
            **measured_on(self._session, execution),
            "version": self._params.version,
            "transferred": execution == "chip" and self._version.manifest.is_transferred_to(identifier),
            "dataset": self._dataset.name,
        }

    def _measured(self) -> list[dict[str, Any]]:
        """Return the steps that are done."""
        measured = []
        for name, stair in self._stairs.items():
            if stair.finished:
                right, crops = _count(stair)
                measured.append(
                    {
                        "name": name,
                        "execution": _execution_of(name),
                        "accuracy": right / crops,
                        "interval": wilson_interval(right, crops),
                    }
                )
        return measured


def _execution_of(stair: str) -> str:
    return "chip" if stair == "loop" else stair


def _count(stair: Evaluator | Trainer) -> tuple[int, int]:
    """Return how many test crops were read right at last, and of how many."""
    if isinstance(stair, Trainer):
        confusion = stair.progress.confusion
        return int(confusion.trace()), int(confusion.sum())
    return int(stair.correct.sum()), len(stair.correct)
