"""The worker is killed during staircases: each starts again, and measures what an undisturbed one measures."""

from typing import Any

import pytest

from hxserve import Client
from tests.system.chaos.service import Service

pytestmark = pytest.mark.long

MODEL = "stairs"
TRAINING: dict[str, Any] = {"recipe": "strong", "dataset": "digits", "epochs": 1}


def test_staircases_whose_worker_is_killed_are_measured_again(service: Service, client: Client) -> None:
    client.train(MODEL, wait=True, **TRAINING)
    submitted = [client.staircase(MODEL, 1) for _ in range(6)]

    service.kill("worker")

    disturbed = [service.ended(job).result for job in submitted]
    undisturbed = client.staircase(MODEL, 1, wait=True).result
    assert [step["name"] for step in undisturbed["steps"]] == ["float32", "quantised", "mock"]
    assert disturbed == [undisturbed] * len(submitted)
