"""Upload of a version as an activity."""

from typing import Any

import torch

from services.errors import InvalidInputError
from services.jobs.params import UploadParams, validate_params
from services.jobs.record import Job, JobKind
from services.jobs.workloads import UPLOAD_BATCH, UPLOAD_SCALING_CROPS
from services.models.files import ModelStore
from services.models.manifest import Origin
from services.models.uploads import Uploads
from worker.activities.activity import Activity
from worker.checkpoints import pack_weights, software_versions
from worker.chip import ChipSession
from worker.datasets import Datasets
from worker.descriptions import read_upload, score_without_noise
from worker.learning.confidence import fit_score_scale
from worker.learning.errors import LearningError
from worker.learning.inference import Classifier
from worker.learning.network import clamp_weights
from worker.learning.randomness import OwnRandomness


class UploadActivity(Activity):
    """An upload: check crops in one step, then test crops to fit the confidence on; short enough to start again."""

    def __init__(
        self, job: Job, session: ChipSession, datasets: Datasets, models: ModelStore, uploads: Uploads
    ) -> None:
        params = validate_params(JobKind.UPLOAD, job.params)
        assert isinstance(params, UploadParams)
        self._job = job
        self._session = session
        self._models = models
        self._description, self._weights = read_upload(uploads.read(job.id, params.sha256))
        try:
            self._classifier = Classifier(self._description.network, self._weights, session.perceptron)
        except LearningError as error:
            raise InvalidInputError(f"the upload cannot be published: {error}") from None
        clamp_weights(self._weights)
        dataset = datasets.get("auto")
        self._crops = dataset.test_images[:UPLOAD_SCALING_CROPS].flatten(1)
        self._labels = dataset.test_labels[:UPLOAD_SCALING_CROPS]
        self._scores = torch.empty(0, 10)
        self._randomness = OwnRandomness(session.perceptron, session.mock_parameter, 0)
        self._steps_done = 0
        self.steps_total = 1 + -(-len(self._crops) // UPLOAD_BATCH)

    @property
    def steps_done(self) -> int:
        """1 after the check, and 1 for each batch of test crops."""
        return self._steps_done

    @property
    def execution(self) -> str:
        """The mock."""
        return "mock"

    def step(self) -> None:
        """Check the network's arithmetic, or read a batch of test crops.

        Raises:
            InvalidInputError: the check failed.
        """
        with self._session.guarded():
            if self._steps_done == 0:
                self._check()
            else:
                start = len(self._scores)
                crops = self._crops[start : start + UPLOAD_BATCH].numpy()
                with self._randomness.active():
                    scores = torch.from_numpy(self._classifier.scores(crops))
                self._scores = torch.cat((self._scores, scores))
        self._steps_done += 1

    def _check(self) -> None:
        """Compare the scores of the check crops with those that the file states.

        Raises:
            InvalidInputError: they differ.
        """
        check, gain = self._description.check, self._description.gain
        crops = torch.frombuffer(bytearray(check.crop_bytes), dtype=torch.uint8).view(-1, 784).numpy()
        found = torch.from_numpy(score_without_noise(self._classifier, crops, self._session.perceptron, gain))
        stated = torch.tensor(check.scores, dtype=torch.int8)
        differing = (found != stated).nonzero().tolist()
        if differing:
            crop, digit = differing[0]
            raise InvalidInputError(
                f"the network computes other scores here than where the file was written: {len(differing)} of "
                f"{stated.numel()} differ, first that of check crop {crop} for digit {digit}: expected "
                f"{int(stated[crop, digit])}, as the file states, got {int(found[crop, digit])}; publish the model "
                "again, with the gain it learnt with in force"
            )

    def complete(self) -> dict[str, Any]:
        """Publish the version."""
        description, facts = self._description, self._session.describe()
        manifest = self._models.publish(
            Origin(
                name=self._job.model,
                user=self._job.user,
                job=self._job.id,
                source="upload",
                network=description.network,
                recipe={},
                metrics={},
                dataset={},
                execution="mock",
                backend="mock",
                chip=self._session.chip,
                identifier=facts["identifier"],
                calibration=None,
                gain=description.gain,
                noise_std=description.noise_std,
                score_scale=fit_score_scale(self._scores, self._labels),
                seed=0,
                software=software_versions(),
            ),
            pack_weights(self._weights, description),
        )
        return {
            "model": manifest.name,
            "version": manifest.version,
            "checked_crops": len(description.check.scores),
            "weights_sha256": manifest.weights_sha256,
        }
