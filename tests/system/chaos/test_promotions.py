"""The API is killed during promotions, and the worker during a comparison: alias and history always agree."""

import threading
from contextlib import suppress
from itertools import pairwise
from random import Random
from typing import Any

import pytest

from hxserve import Client
from hxserve.errors import ClientError
from services.models.files import ModelStore
from tests.system.chaos.conftest import Extent, Summary
from tests.system.chaos.service import Service
from tests.system.chaos.verification import assert_nothing_lost
from tests.system.conftest import wait_until

pytestmark = pytest.mark.long

MODEL = "promoted"
TRAINING: dict[str, Any] = {"recipe": "strong", "dataset": "digits", "epochs": 3}


def test_alias_and_history_agree_whatever_is_killed(
    service: Service, client: Client, extent: Extent, randomly: Random, summary: Summary
) -> None:
    first, second = (client.train(MODEL, wait=True, seed=seed, **TRAINING).version for seed in (0, 1))
    assert first is not None
    assert second is not None
    client.set_alias(MODEL, "production", first)
    running = client.compare(MODEL, second, dataset="digits", repeats=8)
    service.kill("worker")
    compared = service.ended(running).id
    aliases = ModelStore(service.settings.models_dir).alias_files
    over = threading.Event()

    def promote_to_and_fro() -> None:
        """Moves the alias by all ways, as fast as the service lets it."""
        while not over.is_set():
            with suppress(ClientError):
                client.promote(MODEL, second, comparison=compared, margin=0.5)
            with suppress(ClientError):
                client.rollback(MODEL)

    mover = threading.Thread(target=promote_to_and_fro)
    mover.start()
    try:
        wait_until(lambda: len(client.history(MODEL)["changes"]) >= 3)
        for _ in range(extent.kills):
            service.let_pass(randomly.uniform(0.2, 0.6))
            service.kill("api")
            found = aliases.get(MODEL, "production")
            assert found is not None
            assert found.version == found.changes[-1].version
            assert found.changes[-1].before in {first, second, None}
    finally:
        over.set()
        mover.join(60)

    history = client.history(MODEL)
    changes = history["changes"]
    assert history["version"] == changes[0]["version"]
    assert {"promoted", "rolled_back"} <= {change["action"] for change in changes}
    assert all(after["before"] == before["version"] for after, before in pairwise(changes))
    summary.note(extent.kills, jobs=assert_nothing_lost(service))
