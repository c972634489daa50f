"""The versions loaded by this worker for classification."""

import logging
from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final, TypeVar

import numpy as np
import numpy.typing as npt

from services.errors import CheckpointDamagedError, ChipError
from services.models.files import ModelStore
from services.models.manifest import Manifest
from worker.checkpoints import read_version
from worker.chip import ChipSession
from worker.learning.errors import LearningError
from worker.learning.inference import Classifier

DIGITS: Final = 10
_MOST_LOADED: Final = 8
_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Reading:
    """Digits (count,) uint8, scores (count, 10) int8 and confidences (count,) float32, 0..1, of crops.

    `hidden` has the activations by layer, (count, ...) uint8, where they were asked for.
    """

    digits: npt.NDArray[np.uint8]
    scores: npt.NDArray[np.int8]
    confidences: npt.NDArray[np.float32]
    hidden: Mapping[str, npt.NDArray[np.uint8]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class LoadedVersion:
    """A version ready to classify, and the same in mock arithmetic, its twin."""

    manifest: Manifest
    classifier: Classifier
    twin: Classifier

    def read(self, crops: npt.NDArray[np.uint8], repeats: int, *, activations: bool = False) -> Reading:
        """Classify crops `(count, 784)`; equal scores go to the smaller digit.

        The hidden activations are those of a single reading; there are none of several.

        Raises:
            ChipError: the chip gave another number of readouts than was asked for.
        """
        return self._read_by(self.classifier, crops, repeats, activations=activations)

    def read_scores(
        self, crops: npt.NDArray[np.uint8], repeats: int
    ) -> npt.NDArray[np.int8] | npt.NDArray[np.float32]:
        """Return the scores of crops `(count, 784)` alone, `(count, 10)` in LSB: of several readings their means.

        Raises:
            ChipError: the chip gave another number of readouts than was asked for.
        """
        if repeats == 1:
            return _checked(self.classifier.scores(crops), len(crops))
        return _checked(self.classifier.mean_scores(crops, repeats), len(crops))

    def read_in_mock(self, crops: npt.NDArray[np.uint8], repeats: int) -> Reading:
        """Classify crops as `read` does, in mock arithmetic."""
        return self._read_by(self.twin, crops, repeats)

    def _read_by(
        self, classifier: Classifier, crops: npt.NDArray[np.uint8], repeats: int, *, activations: bool = False
    ) -> Reading:
        if repeats == 1:
            hidden: Mapping[str, npt.NDArray[np.uint8]] = {}
            if activations:
                scores, hidden = classifier.scores_and_activations(crops)
            else:
                scores = classifier.scores(crops)
            scores = _checked(scores, len(crops))
            return Reading(scores.argmax(axis=1).astype(np.uint8), scores, self.confidences(scores), hidden)
        means = _checked(classifier.mean_scores(crops, repeats), len(crops))
        return Reading(
            means.argmax(axis=1).astype(np.uint8), np.rint(means).astype(np.int8), self.confidences(means)
        )

    def confidences(self, scores: npt.NDArray[np.int8 | np.float32]) -> npt.NDArray[np.float32]:
        """Return the confidence in each best score, 0..1: `(count, 10)` to `(count,)`."""
        logits = scores.astype(np.float32) * self.manifest.score_scale
        logits -= logits.max(axis=1, keepdims=True)
        confidences: npt.NDArray[np.float32] = 1.0 / np.exp(logits).sum(axis=1, dtype=np.float32)
        return confidences


_Scores = TypeVar("_Scores", npt.NDArray[np.int8], npt.NDArray[np.float32])


def _checked(scores: _Scores, count: int) -> _Scores:
    """Return the scores; a crop too few or too many would give each one behind it its neighbour's answer.

    Raises:
        ChipError: they are not (count, 10).
    """
    if scores.shape != (count, DIGITS):
        raise ChipError(f"the chip gave scores of shape {scores.shape}; expected ({count}, {DIGITS})")
    return scores


class LoadedVersions:
    """The versions used last, in memory; others are read again when needed."""

    def __init__(self, session: ChipSession, models: ModelStore) -> None:
        self._session = session
        self._models = models
        self._loaded: OrderedDict[tuple[str, str], LoadedVersion] = OrderedDict()

    def get(self, model: str, version: str) -> LoadedVersion:
        """Return a version ready to classify.

        Raises:
            ModelNotFoundError: it was deleted.
            CheckpointDamagedError: its files differ from the published ones.
        """
        key = (model, version)
        if key in self._loaded:
            self._loaded.move_to_end(key)
            return self._loaded[key]
        published = read_version(self._models, model, version)
        spec, perceptron = published.manifest.network, self._session.perceptron
        try:
            twin = Classifier(spec, published.weights, perceptron, mock=True)
            is_mock = self._session.execution == "mock"
            classifier = twin if is_mock else Classifier(spec, published.weights, perceptron, mock=False)
        except LearningError as error:
            raise CheckpointDamagedError(f"{model}@{version} does not fit its network: {error}") from None
        loaded = self._loaded[key] = LoadedVersion(published.manifest, classifier, twin)
        _log.info("loaded %s@%s", model, version)
        if len(self._loaded) > _MOST_LOADED:
            self._loaded.popitem(last=False)
        return loaded
