"""Two workers with a virtual chip each share the work of one service, and one does without the other."""

import os
import signal
from collections.abc import Iterator
from itertools import combinations
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from deploy.local import Local, running
from hxserve import Client
from hxserve.errors import StillRunningError
from hxserve.jobs import Job
from services.settings import load_settings
from tests.system.conftest import wait_until

pytestmark = pytest.mark.long

WORKERS = {"chip-1": "worker", "chip-2": "worker-2"}
SHORT: dict[str, Any] = {"recipe": "notebook", "dataset": "digits", "network": {"hidden": [32]}}
CROP = np.zeros((1, 28, 28), np.uint8)


@pytest.fixture(scope="module")
def local(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Local]:
    """Redis, the API, and two workers on virtual chips."""
    folder: Path = tmp_path_factory.mktemp("chips")
    settings = load_settings(
        data_dir=folder, chip="emulator", port=0, save_every_s=0.2, lease_s=2, calibrate_at=None
    )
    with running(settings, chips=2) as local, Client(local.url, local.token) as client:
        wait_until(lambda: [chip["state"] for chip in client.chip()["chips"]] == ["ready"] * 2)
        yield local


@pytest.fixture
def client(local: Local) -> Iterator[Client]:
    """A client of the service, both of whose chips serve, also after the test."""
    with Client(local.url, local.token) as client:
        yield client
        for worker in WORKERS.values():
            local.processes[worker].revive()
        wait_until(lambda: all(chip["state"] == "ready" for chip in client.chip()["chips"]))


def _kill(local: Local, chip: str) -> None:
    worker = local.processes[WORKERS[chip]]
    os.kill(worker.pid, signal.SIGKILL)
    wait_until(lambda: worker.exit_status() is not None)


def _is_absent(client: Client, chip: str) -> bool:
    states: dict[str, str] = {c["id"]: c["state"] for c in client.chip()["chips"]}
    return states[chip] == "absent"


def _chip_of(job: Job) -> str:
    return str(job.record["provenance"]["chip"])


def _other(chip: str) -> str:
    return next(name for name in WORKERS if name != chip)


def test_two_chips_share_the_work_at_the_same_time(client: Client) -> None:
    # A chip whose process was held up for its lease's two seconds leaves four jobs to the other; not each time.
    wait_until(lambda: _work_at_the_same_time(client))


def _work_at_the_same_time(client: Client) -> bool:
    """Whether two of four short trainings ran on two chips at some moment."""
    jobs = [client.train("shared", execution="mock", epochs=40, **SHORT) for _ in range(4)]
    ended = [client.wait(job.id) for job in jobs]
    assert {job.state for job in ended} == {"succeeded"}
    return any(
        _chip_of(one) != _chip_of(other) and _overlap(one, other) for one, other in combinations(ended, 2)
    )


def _overlap(one: Job, other: Job) -> bool:
    """Whether both ran at some moment: read from their records, as polling could miss it."""
    times = (one.started_at, one.finished_at, other.started_at, other.finished_at)
    one_start, one_end, other_start, other_end = filter(None, times)
    return one_start < other_end and other_start < one_end


def test_what_learnt_in_a_chips_loop_is_read_there_and_elsewhere_only_when_allowed(
    local: Local, client: Client
) -> None:
    trained = client.train("looped", execution="chip", epochs=1, wait=True, **SHORT)
    home = _chip_of(trained)
    at_home = [client.classify(CROP, "looped") for _ in range(20)]
    _kill(local, home)
    wait_until(lambda: _is_absent(client, home))

    elsewhere = client.classify(CROP, "looped", allow_transfer=True)
    measured = client.evaluate("looped", execution="chip", allow_transfer=True, dataset="digits", wait=True)
    waiting = client.evaluate("looped", execution="chip", dataset="digits")
    with pytest.raises(StillRunningError):
        client.classify(CROP, "looped", wait_s=0.5, timeout_s=1.0)
    still = client.job(waiting.id).state
    local.processes[WORKERS[home]].revive()

    assert {(answer.chip, answer.transferred) for answer in at_home} == {(home, False)}
    assert (elsewhere.chip, elsewhere.transferred) == (_other(home), True)
    assert measured.result is not None
    assert (_chip_of(measured), measured.result["transferred"]) == (_other(home), True)
    assert still == "queued"
    ended = client.wait(waiting.id)
    assert ended.result is not None
    assert (_chip_of(ended), ended.result["transferred"]) == (home, False)


def test_when_a_chip_is_gone_the_other_goes_on_with_its_training(local: Local, client: Client) -> None:
    job = client.train("left", execution="mock", epochs=30, **SHORT)
    wait_until(lambda: client.job(job.id).progress > 0.2)
    first = _chip_of(client.job(job.id))
    _kill(local, first)

    ended = client.wait(job.id)

    assert ended.state == "succeeded"
    assert (ended.record["attempts"], _chip_of(ended)) == (2, _other(first))


def test_when_a_chip_is_gone_every_crop_is_still_answered(local: Local, client: Client) -> None:
    client.train("plain", execution="mock", epochs=1, wait=True, **SHORT)
    crops = np.zeros((6_000, 28, 28), np.uint8)
    job = client._transport.call_json(
        "POST",
        "/v1/models/plain/classify",
        query={"wait": "0"},
        body=crops.tobytes(),
        headers={"Content-Type": "application/octet-stream"},
    )
    wait_until(lambda: client.job(job["id"]).progress > 0)
    _kill(local, "chip-1")

    ended = client.wait(job["id"])

    assert ended.state == "succeeded"
    assert ended.result is not None
    assert len(ended.result["predictions"]) == 6_000
