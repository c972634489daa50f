"""Worker, API and Redis are killed while a class is deleted: nothing of its pupils is left, all else is."""

import json
from datetime import UTC, datetime, timedelta
from random import Random
from typing import Any
from urllib.parse import urlencode

import numpy as np
import pytest
import urllib3

from hxserve import Client
from tests.services.contents import everything_in
from tests.system.chaos.conftest import Extent, Summary
from tests.system.chaos.crops import MODEL
from tests.system.chaos.service import PATIENCE_S, Service
from tests.system.chaos.verification import assert_nothing_lost

pytestmark = pytest.mark.long

TRAININGS = ("sevens", "eights")
"""Models that each pupil trains; some are being trained when the class is deleted."""


class Pupil:
    """A browser that joined a class by its link."""

    def __init__(self, service: Service, code: str, nickname: str) -> None:
        self._url = service.local.url
        self._headers = {"Sec-Fetch-Site": "same-origin"}
        joined = urllib3.request(
            "POST",
            f"{self._url}/c/{code}",
            body=urlencode({"nickname": nickname}),
            headers={**self._headers, "Content-Type": "application/x-www-form-urlencoded"},
            redirect=False,
            timeout=PATIENCE_S,
        )
        assert joined.status == 303
        self._headers["Cookie"] = joined.headers["Set-Cookie"].partition(";")[0]

    def post(self, path: str, body: bytes, media_type: str = "application/json") -> Any:
        """Send something; return what is answered."""
        headers = {**self._headers, "Content-Type": media_type}
        answer = urllib3.request("POST", f"{self._url}{path}", body=body, headers=headers, timeout=PATIENCE_S)
        assert answer.status in {200, 201, 202}, answer.data
        return answer.json()

    def work(self, random: np.random.Generator) -> None:
        """Have crops read, correct one, and train."""
        crops = random.integers(0, 256, 2 * 784, np.uint8).tobytes()
        path = f"/v1/models/{MODEL}/classify?keep=true"
        kept = self.post(path, crops, "application/octet-stream")
        self.post("/v1/corrections", json.dumps({"answer": kept["id"], "index": 0, "digit": 7}).encode())
        for model in TRAININGS:
            training = {"kind": "training", "model": model, "params": {"dataset": "digits", "epochs": 2}}
            self.post("/v1/jobs", json.dumps(training).encode())


def _everything(service: Service) -> str:
    folders = [service.settings.models_dir, service.settings.datasets_dir, service.settings.saves_dir]
    with service.connection() as connection:
        return everything_in(connection, *folders)


@pytest.mark.usefixtures("crops")
@pytest.mark.parametrize("process", ["worker", "api", "redis"])
def test_nothing_of_a_deleted_class_is_left_whatever_is_killed(
    service: Service, client: Client, extent: Extent, randomly: Random, summary: Summary, process: str
) -> None:
    for _ in range(extent.kills):
        until = datetime.now(UTC) + timedelta(hours=1)
        code = client.classes.start("Disturbed", until, seats=5)["code"]
        for nickname in ("Lena", "Tom"):
            Pupil(service, code, nickname).work(np.random.default_rng(randomly.randrange(2**32)))
        service.let_pass(randomly.uniform(0.0, 4.0))
        assert code in _everything(service)

        client.classes.delete(code)
        service.let_pass(randomly.uniform(0.0, 3.0))
        service.kill(process)

        service.until(lambda code=code: code not in _everything(service), "the deletion")  # type: ignore[misc]
        assert client.classify(np.zeros((28, 28), np.uint8), MODEL).digits
    summary.note(extent.kills, jobs=assert_nothing_lost(service))
