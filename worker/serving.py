"""The versions this worker can classify with, loaded and kept."""

import logging
from collections import OrderedDict
from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

from services.errors import CheckpointDamagedError
from services.manifest import Manifest
from services.models import ModelStore
from worker.checkpoints import read_weights, spec_of
from worker.chip import ChipSession
from worker.learning.errors import LearningError
from worker.learning.inference import Classifier

_MOST_LOADED: Final = 8
_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class LoadedVersion:
    """A version ready to classify."""

    manifest: Manifest
    classifier: Classifier

    def confidences(self, scores: npt.NDArray[np.int8]) -> npt.NDArray[np.float32]:
        """How sure the network is of each best score, 0..1: `(count, 10)` to `(count,)`."""
        logits = scores.astype(np.float32) * self.manifest.score_scale
        logits -= logits.max(axis=1, keepdims=True)
        confidences: npt.NDArray[np.float32] = 1.0 / np.exp(logits).sum(axis=1, dtype=np.float32)
        return confidences


class LoadedVersions:
    """The versions used last, in memory; the others are read again when needed."""

    def __init__(self, session: ChipSession, models: ModelStore) -> None:
        self._session = session
        self._models = models
        self._loaded: OrderedDict[tuple[str, str], LoadedVersion] = OrderedDict()

    def get(self, model: str, version: str) -> LoadedVersion:
        """A version ready to classify.

        Raises:
            ModelNotFoundError: it was deleted.
            CheckpointDamagedError: its files are not what was published.
        """
        key = (model, version)
        if key in self._loaded:
            self._loaded.move_to_end(key)
            return self._loaded[key]
        manifest = self._models.manifest(model, version)
        weights = read_weights(self._models.weights(model, version), f"{model}@{version}")
        try:
            classifier = Classifier(
                spec_of(manifest.network),
                weights,
                self._session.perceptron,
                mock=self._session.execution == "mock",
            )
        except LearningError as error:
            raise CheckpointDamagedError(f"{model}@{version} does not fit its network: {error}") from None
        loaded = self._loaded[key] = LoadedVersion(manifest, classifier)
        _log.info("loaded %s@%s", model, version)
        if len(self._loaded) > _MOST_LOADED:
            self._loaded.popitem(last=False)
        return loaded
