"""Training as an activity."""

from dataclasses import asdict
from typing import Any

from services.errors import HxserveError, InvalidInputError
from services.jobs.params import TrainingParams, validate_params
from services.jobs.record import Job, JobKind
from services.jobs.workloads import training_execution
from services.models.files import ModelStore
from services.models.manifest import Origin
from worker.activities.activity import Activity, measured_on, need_chip, picture_mistakes
from worker.checkpoints import Saves, pack_weights, read_version, software_versions
from worker.chip import ChipSession
from worker.datasets import Datasets
from worker.descriptions import describe_version
from worker.learning.errors import LearningError, StateMismatchError
from worker.learning.mistakes import read_mistakes
from worker.learning.recipes import Recipe, resolve
from worker.learning.training import Trainer


class TrainingActivity(Activity):
    """A training: publishes a version at its end, or a partial one when it is cancelled."""

    def __init__(
        self, job: Job, session: ChipSession, datasets: Datasets, models: ModelStore, saves: Saves
    ) -> None:
        params = validate_params(JobKind.TRAINING, job.params)
        assert isinstance(params, TrainingParams)
        self._job = job
        self._params = params
        self._session = session
        self._models = models
        self._saves = saves
        self._dataset = datasets.get(params.dataset)
        execution = training_execution(params, session.backend)
        need_chip(session, execution)
        spec, start_from = params.network, None
        if params.start_from is not None:
            parent = read_version(models, job.model, params.start_from)
            spec, start_from = parent.manifest.network, parent.weights
        try:
            with session.guarded():
                self._trainer = Trainer(
                    _recipe_of(params),
                    spec,
                    self._dataset,
                    session.perceptron,
                    execution=execution,
                    mock_parameter=session.mock_parameter,
                    start_from=start_from,
                )
        except LearningError as error:
            raise InvalidInputError(f"this training cannot be run: {error}") from None
        self.steps_total = self._trainer.steps_total
        self.in_the_loop = "chip" in execution
        self._last: tuple[float, float] = (0.0, 0.0)
        saved = saves.read(job.id)
        if saved is not None:
            try:
                self._trainer.load_state(saved)
            except StateMismatchError as error:
                raise HxserveError(
                    f"the saved training does not fit what the worker would run now: {error}; submit it again"
                ) from None

    @property
    def steps_done(self) -> int:
        """Mini-batches run, tests included."""
        return self._trainer.step_count

    @property
    def execution(self) -> str:
        """The execution of the present phase."""
        plan = self._trainer.plan
        return plan.phases[plan.place_of(self._trainer.step_count).phase].execution

    def step(self) -> None:
        """Run one mini-batch of training or test."""
        with self._session.guarded():
            measured = self._trainer.step()
        if measured.phase == "training":
            self._last = (measured.loss, measured.accuracy)

    def metrics(self) -> dict[str, Any]:
        """Return the position, the last mini-batch's loss and accuracy, and all finished epochs."""
        trainer = self._trainer
        loss, accuracy = self._last
        return {
            **super().metrics(),
            "epoch": min(trainer.epoch + 1, trainer.plan.epochs_total),
            "epochs_total": trainer.plan.epochs_total,
            "loss": round(loss, 6),
            "accuracy": round(accuracy, 4),
            "dataset": self._dataset.name,
            "dataset_note": self._dataset.note,
            "epochs": self._epochs(),
        }

    def save(self) -> None:
        """Save weights, moments, random-number state and position."""
        self._saves.write(self._job.id, self._trainer.state())

    def complete(self) -> dict[str, Any]:
        """Publish the version."""
        return self._publish(partial=False)

    def keep_part(self) -> dict[str, Any] | None:
        """Publish a partial version, unless nothing was learnt."""
        return self._publish(partial=True) if self._trainer.step_count else None

    def _publish(self, *, partial: bool) -> dict[str, Any]:
        trainer, progress = self._trainer, self._trainer.progress
        epochs = self._epochs()
        accuracy = epochs[-1]["test_accuracy"] if epochs else None
        confusion = progress.confusion.tolist()
        mistakes = picture_mistakes(read_mistakes(progress.mistakes), self._dataset.test_images)
        session, weights = self._session.describe(), trainer.weights()
        description = describe_version(
            trainer.spec,
            weights,
            self._dataset.test_images,
            self._session.perceptron,
            trainer.mock_parameter,
        )
        manifest = self._models.publish(
            Origin(
                name=self._job.model,
                user=self._job.user,
                job=self._job.id,
                network=trainer.spec,
                recipe=trainer.recipe.model_dump(mode="json"),
                metrics={
                    "accuracy": accuracy,
                    "epochs": epochs,
                    "confusion": confusion,
                    "mistakes": mistakes,
                },
                dataset={"name": self._dataset.name, "sha256": self._dataset.sha256},
                execution=trainer.execution,
                backend=session["backend"] if "chip" in trainer.execution else "mock",
                chip=self._session.chip,
                identifier=session["identifier"],
                calibration=session["calibration"],
                gain=trainer.mock_parameter.gain,
                noise_std=trainer.mock_parameter.noise_std,
                score_scale=progress.score_scale,
                seed=trainer.recipe.seed,
                parent=self._params.start_from,
                partial=partial,
                software=software_versions(),
            ),
            pack_weights(weights, description),
        )
        return {
            "model": manifest.name,
            "version": manifest.version,
            "partial": partial,
            "accuracy": accuracy,
            "confusion": confusion,
            "dataset": self._dataset.name,
            **(measured_on(self._session, epochs[-1]["execution"]) if epochs else {}),
            "weights_sha256": manifest.weights_sha256,
        }

    def _epochs(self) -> list[dict[str, Any]]:
        return [{**asdict(epoch), "epoch": epoch.epoch + 1} for epoch in self._trainer.progress.epoch_metrics]


def _recipe_of(params: TrainingParams) -> Recipe:
    given = {
        "epochs": params.epochs,
        "batch_size": params.batch_size,
        "learning_rate": params.learning_rate,
        "seed": params.seed,
        "chip_epochs": params.chip_epochs,
        "chip_learning_rate": params.chip_learning_rate,
    }
    return resolve(params.recipe, {name: value for name, value in given.items() if value is not None})
