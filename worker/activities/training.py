"""Training as an activity."""

from dataclasses import asdict
from typing import Any

from services.errors import HxserveError, InvalidInputError
from services.jobs.params import TrainingParams, validate_params
from services.jobs.phases import training_execution
from services.jobs.record import Job, JobKind
from services.models.files import ModelStore
from services.models.manifest import Manifest, Origin
from worker.activities.activity import Activity, as_png, measured_on, need_chip, with_pictures
from worker.checkpoints import Saves, pack_weights, read_version, software_versions
from worker.chip import ChipSession
from worker.datasets import Datasets, describe_dataset
from worker.descriptions import describe_version
from worker.learning.errors import LearningError, StateMismatchError
from worker.learning.mistakes import read_mistakes
from worker.learning.mixtures import is_stored_crop
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
        self._dataset = datasets.get_mixture(params.dataset)
        # Stored crops may be private and versions may be shared, so no version holds stored crops.
        is_private = any(part.is_stored for part in self._dataset.parts)
        self._check_crops = datasets.get("auto").test_images if is_private else self._dataset.test_images
        execution = training_execution(params, session.backend)
        need_chip(session, execution)
        spec, start_from = params.network, None
        self._parent: Manifest | None = None
        if params.start_from is not None:
            model, at, version = params.start_from.rpartition("@")
            parent = read_version(models, model if at else job.model, version)
            spec, start_from, self._parent = parent.manifest.network, parent.weights, parent.manifest
        self._learns = params.epochs != 0
        try:
            with session.guarded():
                self._trainer = Trainer(
                    recipe_of(params),
                    spec,
                    self._dataset,
                    session.perceptron,
                    execution=execution,
                    mock_parameter=session.mock_parameter,
                    start_from=start_from,
                    learns=self._learns,
                )
        except LearningError as error:
            raise InvalidInputError(f"this training cannot be run: {error}") from None
        self.steps_total = self._trainer.steps_total
        self.in_the_loop = "chip" in execution
        self._last: tuple[float, float] = (0.0, 0.0)
        labels, images = self._dataset.test_labels, self._dataset.test_images
        self._watched = [
            {"digit": int(labels[place]), "png": as_png(images[place])} for place in self._trainer.watched
        ]
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
            "epoch": self._epoch(),
            "epochs_total": trainer.plan.epochs_total,
            "loss": round(loss, 6),
            "accuracy": round(accuracy, 4),
            "dataset": self._dataset.name,
            "dataset_note": self._dataset.note,
            "watched": self._watched,
            "epochs": self._epochs(),
        }

    def _epoch(self) -> int:
        """Return the number of the epoch under way, from 1; at the end, of the last one, after which it ended."""
        trainer, finished = self._trainer, self._trainer.progress.epoch_metrics
        plan = trainer.plan
        if finished and plan.place_of(trainer.step_count).kind == "scaling":
            return finished[-1].epoch + 1
        return min(trainer.epoch + 1, plan.epochs_total)

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
        shown = [m for m in read_mistakes(progress.mistakes) if not is_stored_crop(self._dataset, m.index)]
        mistakes = with_pictures(shown, self._dataset.test_images)
        session, weights = self._session.describe(), trainer.weights()
        description = describe_version(
            trainer.spec,
            weights,
            self._check_crops,
            self._session.perceptron,
            trainer.mock_parameter,
        )
        accuracies = epochs[-1]["accuracies"] if epochs else {}
        # The weights of a version that learnt nothing are its parent's, and so is what is said of them.
        learnt = self._learnt(session) if self._learns or self._parent is None else _learnt_by(self._parent)
        manifest = self._models.publish(
            Origin(
                name=self._job.model,
                user=self._job.user,
                job=self._job.id,
                network=trainer.spec,
                metrics={
                    "accuracy": accuracy,
                    "accuracies": accuracies,
                    "epochs": epochs,
                    "confusion": confusion,
                    "mistakes": mistakes,
                },
                dataset=describe_dataset(self._dataset),
                chip=self._session.chip,
                score_scale=progress.score_scale,
                parent=self._params.start_from,
                partial=partial,
                software=software_versions(),
                **learnt,
            ),
            pack_weights(weights, description),
        )
        return {
            "model": manifest.name,
            "version": manifest.version,
            "partial": partial,
            "accuracy": accuracy,
            "accuracies": accuracies,
            "confusion": confusion,
            "dataset": self._dataset.name,
            **(measured_on(self._session, epochs[-1]["execution"]) if epochs else {}),
            "weights_sha256": manifest.weights_sha256,
        }

    def _learnt(self, session: dict[str, Any]) -> dict[str, Any]:
        """Return where and how the weights were learnt, as fields of a manifest."""
        trainer = self._trainer
        return {
            "recipe": trainer.recipe.model_dump(mode="json"),
            "execution": trainer.execution,
            "backend": session["backend"] if "chip" in trainer.execution else "mock",
            "identifier": session["identifier"],
            "calibration": session["calibration"],
            "gain": trainer.mock_parameter.gain,
            "noise_std": trainer.mock_parameter.noise_std,
            "seed": trainer.recipe.seed,
        }

    def _epochs(self) -> list[dict[str, Any]]:
        return [{**asdict(epoch), "epoch": epoch.epoch + 1} for epoch in self._trainer.progress.epoch_metrics]


def _learnt_by(parent: Manifest) -> dict[str, Any]:
    fields = ("recipe", "execution", "backend", "identifier", "calibration", "gain", "noise_std", "seed")
    return {name: getattr(parent, name) for name in fields}


def recipe_of(params: TrainingParams) -> Recipe:
    """Return the recipe of a training with the values that its params give."""
    given = {
        "epochs": params.epochs or None,
        "batch_size": params.batch_size,
        "learning_rate": params.learning_rate,
        "seed": params.seed,
        "chip_epochs": params.chip_epochs,
        "chip_learning_rate": params.chip_learning_rate,
    }
    return resolve(params.recipe, {name: value for name, value in given.items() if value is not None})
