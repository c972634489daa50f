"""What docs/handbook.md promises of docker-compose.yml, tried on the engine of this machine.

    COMPOSE=1 python -m pytest tests/compose -p no:randomly --log-cli-level=INFO

Each test builds on those before it. The Compose project has a name of its own and is removed at the end.
"""

import hashlib
import json
import logging
import os
import signal
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

import numpy as np
import pytest
import urllib3
from numpy.typing import NDArray

from hxserve import Client
from hxserve.jobs import Job
from tests.compose.conftest import SERVICES, Project, is_healthy, service_of
from tests.deploy.conftest import ROOT
from worker.learning.datasets import load_dataset

MODEL: Final = "digits"
TRAINING: Final[dict[str, Any]] = {"recipe": "strong", "dataset": "digits", "epochs": 12, "seed": 1}
CROPS: Final = 20
Digits = tuple[NDArray[np.uint8], NDArray[np.int64]]

_log = logging.getLogger(__name__)
pytestmark = [pytest.mark.system, pytest.mark.timeout(3600)]


@pytest.fixture(scope="module")
def digits() -> Digits:
    """Crops (n, 28, 28) and their labels (n,)."""
    dataset = load_dataset("digits")
    return dataset.test_images.numpy(), dataset.test_labels.numpy()


@pytest.fixture(scope="module")
def weights(project: Project, tmp_path_factory: pytest.TempPathFactory) -> str:
    """The digest of the weights of a training that nothing disturbs."""
    job = project.client.train(MODEL, wait=True, **TRAINING)
    project.client.set_alias(MODEL, "production", 1)
    project.client.users.add("ada", quotas={"max_queued_jobs": 3})
    return _weights_of(project.client, job, tmp_path_factory.mktemp("weights"))


def test_the_engine_sees_no_secret_and_redis_has_no_port_outside(project: Project) -> None:
    containers = project.containers()
    secrets = [path.read_text().strip() for path in project.secrets.iterdir()]

    for container in containers:
        assert not any(secret and secret in json.dumps(container) for secret in secrets), container["Name"]
        if service_of(container) == "redis":
            assert not any(container["NetworkSettings"]["Ports"].values())
    _log.info(f"none of {len(secrets)} secrets in {len(containers)} containers")


@pytest.mark.usefixtures("weights")
def test_digits_are_read(project: Project, digits: Digits) -> None:
    _expect_digits_are_read(project.client, digits)


@pytest.mark.usefixtures("weights")
def test_prometheus_scrapes_each_api_and_understands_the_dashboard(project: Project) -> None:
    (project.secrets / "metrics_token").write_text(project.client.users.add("prometheus")["token"])
    project.up("prometheus")
    processes = sum(service_of(one) == "api" for one in project.containers())
    scraped_twice = 'count(count_over_time(hxserve_store_up{job="hxserve"}[5m]) > 1)'
    project.wait_until(
        lambda _: any(int(found["value"][1]) >= processes for found in _query(project, scraped_twice))
    )
    board = json.loads((ROOT / "deploy/grafana/dashboards/hxserve.json").read_text("utf-8"))
    queries = [target["expr"] for panel in board["panels"] for target in panel.get("targets", [])]

    # Grafana replaces this variable by four times the interval of scraping, or more.
    answers = [_query(project, query.replace("$__rate_interval", "1m")) for query in queries]

    _log.info(f"{len(queries)} queries understood, {sum(map(bool, answers))} with data")


@pytest.mark.parametrize("service", SERVICES)
def test_a_container_that_is_killed_comes_back_and_nothing_is_lost(
    project: Project,
    weights: str,
    digits: Digits,
    service: str,
    tmp_path: Path,
) -> None:
    """The first process is killed from outside: the engine takes `docker kill` for a wish that it stays ended."""
    for container in [one for one in project.containers() if service_of(one) == service]:
        job = project.client.train(MODEL, **TRAINING)
        project.wait_until(lambda _, job=job: project.client.job(job.id).progress > 0)  # type: ignore[misc] # a default
        with _stream(project.client, digits[0][:CROPS]) as durations_s:
            killed_at = time.monotonic()
            os.kill(container["State"]["Pid"], signal.SIGKILL)
            project.wait_until(
                lambda found, container=container: any(  # type: ignore[misc] # a default
                    one["Id"] == container["Id"]
                    and one["State"]["StartedAt"] != container["State"]["StartedAt"]
                    and is_healthy(one)
                    for one in found
                )
            )
            back_s = time.monotonic() - killed_at
        assert _weights_of(project.client, project.client.wait(job), tmp_path) == weights
        _log.info(
            f"{container['Name']}: healthy again after {back_s:.1f} s, training with the same weights, "
            f"{len(durations_s)} requests answered, longest {max(durations_s):.1f} s"
        )


@pytest.mark.usefixtures("weights")
def test_everything_is_there_after_down_and_up(project: Project, digits: Digits) -> None:
    before = _inventory(project.client)

    project.compose("down")
    project.up(*SERVICES)

    assert _inventory(project.client) == before
    _expect_digits_are_read(project.client, digits)


def _expect_digits_are_read(client: Client, digits: Digits) -> None:
    accuracy = float((np.array(client.classify(digits[0], MODEL).digits) == digits[1]).mean())
    _log.info(f"{accuracy:.1%} of {len(digits[1])} digits read correctly")
    assert accuracy >= 0.9


def _query(project: Project, query: str) -> list[dict[str, Any]]:
    answer = urllib3.request("GET", f"{project.prometheus}/api/v1/query", fields={"query": query}, retries=3)
    assert answer.status == 200, f"{query}: {answer.json()}"
    found: list[dict[str, Any]] = answer.json()["data"]["result"]
    return found


@contextmanager
def _stream(client: Client, crops: NDArray[np.uint8]) -> Iterator[list[float]]:
    """Classify crops over and over, three times before the context and three times after; give each time in seconds."""
    durations_s: list[float] = []
    failures: list[BaseException] = []
    stopping = threading.Event()

    def send() -> None:
        try:
            while not stopping.wait(0.02):
                started = time.monotonic()
                assert len(client.classify(crops, MODEL)) == len(crops)
                durations_s.append(time.monotonic() - started)
        except BaseException as error:  # noqa: BLE001 raised again where the test sees it
            failures.append(error)

    def wait_for(answers: int) -> None:
        while len(durations_s) < answers and thread.is_alive():
            time.sleep(0.05)

    thread = threading.Thread(target=send, daemon=True)
    thread.start()
    try:
        wait_for(3)
        yield durations_s
        wait_for(len(durations_s) + 3)
    finally:
        stopping.set()
        thread.join()
    assert failures == []


def _weights_of(client: Client, job: Job, folder: Path) -> str:
    """Return the SHA-256 digest of the weights that a training published."""
    result = job.expect_success().result
    assert result is not None
    client.download_weights(MODEL, result["version"], folder / "weights")
    return hashlib.sha256((folder / "weights").read_bytes()).hexdigest()


def _inventory(client: Client) -> dict[str, list[str]]:
    return {
        "models": sorted(model["name"] for model in client.models()),
        "versions": sorted(str(version) for version in client.model(MODEL)["versions"]),
        "jobs": sorted(f"{job.id} {job.state}" for job in client.jobs(limit=100)),
        "users": sorted(user["name"] for user in client.users.list()),
    }
