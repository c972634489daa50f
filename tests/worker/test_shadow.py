"""The shadow: how often the chip and its mock twin disagree."""

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from services.chips.series import SeriesStore
from services.chips.store import Lease
from services.crops.answers import CROP_BYTES
from services.models.files import ModelStore
from services.store.connection import Connection
from tests.services.samples import CHIP, some_crops
from tests.worker.conftest import TINY
from worker.chip import ChipSession
from worker.learning.inference import Classifier
from worker.serving import LoadedVersion, LoadedVersions
from worker.shadow import Seen, Shadow

ENOUGH = 1000


@pytest.fixture
def series(connection: Connection) -> SeriesStore:
    return SeriesStore(connection)


@pytest.fixture
def version(session: ChipSession, tiny_model: ModelStore) -> LoadedVersion:
    """A version on a session that is its own twin."""
    return LoadedVersions(session, tiny_model).get("digits", "1")


@pytest.fixture
def doubled(
    session: ChipSession, version: LoadedVersion, tiny_weights: dict[str, torch.Tensor]
) -> LoadedVersion:
    """The same with a twin beside it."""
    twin = Classifier(TINY, tiny_weights, session.perceptron, mock=True)
    return LoadedVersion(version.manifest, version.classifier, twin)


def _crops(count: int) -> NDArray[np.uint8]:
    return np.frombuffer(some_crops(count), np.uint8).reshape(count, CROP_BYTES)


def _counts(series: SeriesStore) -> list[tuple[float, float]]:
    return [(point["crops"], point["disagreements"]) for point in series.newest(CHIP, "shadow", 9)]


def test_a_point_counts_the_crops_in_which_chip_and_twin_disagree(
    lease: Lease, series: SeriesStore, doubled: LoadedVersion
) -> None:
    crops = _crops(ENOUGH)
    digits = doubled.read(crops, 1).digits.copy()
    digits[:7] = (digits[:7] + 1) % 10
    shadow = Shadow(lease, series, share=1.0)

    shadow.note(Seen(doubled, crops[:300], digits[:300], 1))
    shadow.compare()
    shadow.note(Seen(doubled, crops[300:], digits[300:], 1))
    shadow.compare()

    assert _counts(series) == [(ENOUGH, 7)]


def test_a_point_is_kept_only_when_there_are_crops_enough(
    lease: Lease, series: SeriesStore, doubled: LoadedVersion
) -> None:
    crops = _crops(ENOUGH // 2)
    digits = doubled.read(crops, 1).digits
    shadow = Shadow(lease, series, share=1.0)

    kept = []
    for _ in range(4):
        shadow.note(Seen(doubled, crops, digits, 1))
        shadow.compare()
        kept.append(len(_counts(series)))

    assert kept == [0, 1, 1, 2]
    assert _counts(series) == [(ENOUGH, 0)] * 2


def test_without_a_share_nothing_is_compared(
    lease: Lease, series: SeriesStore, doubled: LoadedVersion
) -> None:
    crops = _crops(ENOUGH)
    shadow = Shadow(lease, series, share=0.0)

    shadow.note(Seen(doubled, crops, doubled.read(crops, 1).digits, 1))
    shadow.compare()

    assert _counts(series) == []


def test_the_mock_has_no_shadow(lease: Lease, series: SeriesStore, version: LoadedVersion) -> None:
    crops = _crops(ENOUGH)
    shadow = Shadow(lease, series, share=1.0)

    shadow.note(Seen(version, crops, version.read(crops, 1).digits, 1))
    shadow.compare()

    assert _counts(series) == []
