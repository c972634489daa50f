"""Worker, API and Redis are killed while data sets are uploaded and imported: each version is published once, whole."""

import http.client
import json
import time
from contextlib import closing, suppress
from random import Random
from typing import Any
from urllib.parse import urlsplit

import numpy as np
import pytest

from services.datasets.files import DatasetStore, LabelledCrops, sha256_of
from tests.system.chaos.conftest import Extent, Summary
from tests.system.chaos.service import PATIENCE_S, Service
from tests.system.chaos.verification import assert_nothing_lost
from tests.worker.imports.files import digits, idx

pytestmark = pytest.mark.long

PARTS = 7
"""Of each file of images."""


def _ask(
    service: Service, method: str, path: str, body: bytes | None = None, **headers: str
) -> tuple[int, Any]:
    """The answer to one request; asks again while processes are started again."""
    address = urlsplit(service.local.url)
    until = time.monotonic() + PATIENCE_S
    while True:
        service.revive()
        connection = http.client.HTTPConnection(str(address.hostname), address.port, timeout=10)
        with suppress(OSError, http.client.HTTPException), closing(connection):
            given = {"Authorization": f"Bearer {service.local.token}", **headers}
            connection.request(method, path, body, given)
            answer = connection.getresponse()
            content = answer.read()
            if answer.status < 500 and answer.status != 429:
                return answer.status, json.loads(content)
        assert time.monotonic() < until, f"no answer to {method} {path}"
        time.sleep(0.02)


def _upload(service: Service, name: str, crops: LabelledCrops, kill: str, randomly: Random) -> str:
    """The job of an upload during which a process is killed; parts go on from what was received."""
    files = {"train-images-idx3-ubyte": idx(crops.images), "train-labels-idx1-ubyte": idx(crops.labels)}
    uploads = f"/v1/datasets/{name}/uploads"
    announced = [{"name": each, "bytes": len(content)} for each, content in files.items()]
    body = json.dumps({"files": announced, "test_fraction": 0.0}).encode()
    status, begun = _ask(service, "POST", uploads, body, **{"Content-Type": "application/json"})
    assert status == 201, begun
    path = f"{uploads}/{begun['upload']}"
    kill_at = randomly.randrange(PARTS)
    for index, content in enumerate(files.values()):
        step = -(-len(content) // PARTS)
        sent = 0
        while True:
            _, shown = _ask(service, "GET", path)
            received = shown["files"][index]["received"]
            if received == len(content):
                break
            part = content[received : received + step]
            place = f"bytes {received}-{received + len(part) - 1}/{len(content)}"
            if index == 0 and sent == kill_at:
                service.kill(kill)
            status, answer = _ask(service, "PUT", f"{path}/files/{index}", part, **{"Content-Range": place})
            assert status in {200, 409}, answer
            sent += 1
    jobs = {_ask(service, "POST", f"{path}/complete")[1]["id"] for _ in range(2)}
    assert len(jobs) == 1
    return str(jobs.pop())


@pytest.mark.parametrize("process", ["worker", "api", "redis"])
def test_data_sets_are_imported_once_whatever_is_killed(
    service: Service, extent: Extent, randomly: Random, summary: Summary, process: str
) -> None:
    datasets = DatasetStore(service.settings.datasets_dir)
    wanted = []
    for number in range(extent.kills):
        crops = digits(4000, seed=number)
        name = f"mine-{process}-{number}"
        job = _upload(service, name, crops, process, randomly)
        service.let_pass(randomly.uniform(0.0, 0.5))
        service.kill(process)
        wanted.append((name, crops, job))

    def ended(job: str) -> dict[str, Any]:
        found: list[dict[str, Any]] = []

        def is_final() -> bool:
            found.append(_ask(service, "GET", f"/v1/jobs/{job}")[1])
            return found[-1]["state"] not in {"queued", "running"}

        service.until(is_final, f"the end of {job}")
        return found[-1]

    results = [ended(job) for _, _, job in wanted]

    summary.note(2 * extent.kills, jobs=assert_nothing_lost(service))
    nothing = LabelledCrops(np.empty((0, 28, 28), np.uint8), np.empty(0, np.uint8))
    for (name, crops, job), result in zip(wanted, results, strict=True):
        assert result["state"] == "succeeded", result
        assert (result["result"]["dataset"], result["result"]["version"]) == (name, "1")
        assert datasets.versions(name) == ["1"]
        assert datasets.manifest(name, "1").job == job
        assert datasets.manifest(name, "1").sha256 == sha256_of(crops, nothing)
        assert len(datasets.crops(name, "1")[0]) == 4000
