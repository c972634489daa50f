"""Worker, API and Redis are killed during corrections and closings: each is whole or not there, and none twice."""

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from random import Random

import numpy as np
import pytest
from numpy.typing import NDArray

from hxserve import Client
from services.datasets.files import DatasetStore
from tests.system.chaos.conftest import Extent, Summary
from tests.system.chaos.crops import MODEL
from tests.system.chaos.service import Service
from tests.system.chaos.verification import assert_nothing_lost

pytestmark = pytest.mark.long

CORRECTIONS = 40
"""Between two kills."""


def _correct_and_close(
    service: Service, images: NDArray[np.uint8], digits: Sequence[int], dataset: str
) -> None:
    with service.client() as client:
        predictions = client.classify(images, MODEL, keep=True)
        for prediction, digit in zip(predictions, digits, strict=True):
            client.correct(prediction, digit)
        client.close_corrections(dataset)


def _counted(client: Client) -> int:
    return sum(of["right"] + of["wrong"] + of["not_a_digit"] for of in client.accuracy())


@pytest.mark.usefixtures("crops")
@pytest.mark.parametrize("process", ["worker", "api", "redis"])
def test_corrections_are_counted_and_published_once_whatever_is_killed(
    service: Service,
    client: Client,
    extent: Extent,
    randomly: Random,
    summary: Summary,
    process: str,
) -> None:
    name, before = f"corrected-{process}", _counted(client)
    store = DatasetStore(service.settings.datasets_dir)
    said: dict[bytes, int] = {}
    for _ in range(extent.kills):
        random = np.random.default_rng(randomly.randrange(2**32))
        images = random.integers(0, 256, (CORRECTIONS, 28, 28), np.uint8)
        digits = [int(digit) for digit in random.integers(0, 10, CORRECTIONS)]
        said |= dict(zip(map(bytes, images), digits, strict=True))

        with ThreadPoolExecutor(1) as pool:
            ended = pool.submit(_correct_and_close, service, images, digits, name)
            service.let_pass(randomly.uniform(0.0, 0.8))
            service.kill(process)
            service.until(ended.done, "the end of the closing")
            ended.result()

        parts = store.crops(name, store.versions(name)[-1])
        published = [crop for part in parts for crop in map(bytes, part.images)]
        labels = [int(digit) for part in parts for digit in part.labels]
        assert len(published) == len(said)
        assert dict(zip(published, labels, strict=True)) == said
        assert list(client.corrections()) == []

    assert _counted(client) - before == len(said)
    assert all(store.crops(name, version) for version in store.versions(name))
    summary.note(extent.kills, jobs=assert_nothing_lost(service))
