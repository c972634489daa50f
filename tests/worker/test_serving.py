"""Versions ready to classify: what they read in crops, once and several times."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from hxtorch_emulator import perceptron as emulated
from services.crops.answers import CROP_BYTES
from services.errors import ChipError
from services.models.files import ModelStore
from tests.services.samples import an_origin, some_crops
from tests.worker.conftest import TINY
from worker.checkpoints import pack_weights
from worker.chip import ChipSession
from worker.learning.inference import Classifier
from worker.serving import LoadedVersion, LoadedVersions

NOISE_LSB = 4.0


@pytest.fixture
def version(session: ChipSession, tiny_model: ModelStore) -> LoadedVersion:
    """The tiny network in mock arithmetic without noise."""
    return LoadedVersions(session, tiny_model).get("digits", "1")


@pytest.fixture
def noisy_version(version: LoadedVersion) -> LoadedVersion:
    """The same with noise; the session's fixture takes it away again."""
    emulated.set_mock_parameter(emulated.MockParameter(noise_std=NOISE_LSB, gain=0.002))
    torch.manual_seed(11)
    return version


def _crops(count: int) -> NDArray[np.uint8]:
    return np.frombuffer(some_crops(count), np.uint8).reshape(count, CROP_BYTES)


def test_of_equal_scores_the_smaller_digit_is_read(
    session: ChipSession, models: ModelStore, tiny_weights: dict[str, torch.Tensor]
) -> None:
    silent = {name: torch.zeros_like(tensor) for name, tensor in tiny_weights.items()}
    models.publish(an_origin(network=TINY), pack_weights(silent))

    reading = LoadedVersions(session, models).get("digits", "1").read(_crops(3), 1)

    assert (reading.scores == reading.scores[:, :1]).all()
    assert reading.digits.tolist() == [0, 0, 0]


def test_mock_arithmetic_reads_beside_the_chip(
    session: ChipSession, version: LoadedVersion, tiny_weights: dict[str, torch.Tensor]
) -> None:
    other = {name: weights.flip(0) for name, weights in tiny_weights.items()}
    doubled = LoadedVersion(version.manifest, Classifier(TINY, other, session.perceptron), version.twin)
    crops = _crops(7)

    for repeats in (1, 3):
        in_mock, on_chip = doubled.read_in_mock(crops, repeats), doubled.read(crops, repeats)
        assert in_mock.scores.tolist() == version.read(crops, repeats).scores.tolist()
        assert in_mock.scores.tolist() != on_chip.scores.tolist()


def test_activations_are_those_that_led_to_the_scores(noisy_version: LoadedVersion) -> None:
    torch.manual_seed(12)
    with_noise = noisy_version.read(_crops(7), 1, activations=True)
    torch.manual_seed(12)
    alone = noisy_version.read(_crops(7), 1)

    assert {name: values.shape for name, values in with_noise.hidden.items()} == {
        "relu1": (7, 6),
        "relu2": (7, 5),
    }
    assert max(values.max() for values in with_noise.hidden.values()) <= 31
    assert any(values.any() for values in with_noise.hidden.values())
    assert with_noise.scores.tolist() == alone.scores.tolist(), "to keep them changes no reading"
    assert alone.hidden == {}


@pytest.mark.parametrize("repeats", [1, 3])
def test_without_noise_reading_several_times_is_reading_once(version: LoadedVersion, repeats: int) -> None:
    crops = _crops(5)

    reading = version.read(crops, repeats)

    once = version.classifier.scores(crops)
    assert reading.scores.tolist() == once.tolist()
    assert reading.digits.tolist() == once.argmax(1).tolist()
    assert reading.confidences == pytest.approx(version.confidences(once), abs=1e-6)


def test_the_digit_read_several_times_is_that_of_the_mean_score(noisy_version: LoadedVersion) -> None:
    crops = _crops(40)
    state = torch.get_rng_state()
    reading = noisy_version.read(crops, 4)
    torch.set_rng_state(state)

    means = noisy_version.classifier.mean_scores(crops, 4)

    assert reading.digits.tolist() == means.argmax(1).tolist()
    assert reading.scores.tolist() == np.rint(means).tolist()


def test_the_noise_of_scores_falls_with_the_number_of_readings(noisy_version: LoadedVersion) -> None:
    crops = np.repeat(_crops(1), 400, axis=0)

    variance = {repeats: noisy_version.read(crops, repeats).scores.var(0).mean() for repeats in (1, 4, 16)}

    # Rounding adds 1/12 LSB² to what averaging leaves.
    assert variance[4] == pytest.approx(variance[1] / 4, rel=0.25)
    assert variance[16] == pytest.approx(variance[1] / 16 + 1 / 12, rel=0.35)


@pytest.mark.parametrize("repeats", [1, 3])
def test_a_chip_that_gives_another_number_of_readouts_has_failed(
    version: LoadedVersion, repeats: int
) -> None:
    short = replace(version, classifier=_OneCropShort(version.classifier))

    with pytest.raises(ChipError, match=r"scores of shape \(4, 10\); expected \(5, 10\)"):
        short.read(_crops(5), repeats)


class _OneCropShort(Classifier):
    """What a chip that loses a vector makes of a network."""

    def __init__(self, whole: Classifier) -> None:
        self._whole = whole

    def scores(self, crops: NDArray[np.uint8]) -> NDArray[np.int8]:
        return self._whole.scores(crops[:-1])

    def mean_scores(self, crops: NDArray[np.uint8], repeats: int) -> NDArray[np.float32]:
        return self._whole.mean_scores(crops[:-1], repeats)
