"""Compose as the trial sees it, with a stand-in for Docker that tells of one container."""

import json
import os
import signal
import subprocess
from pathlib import Path
from typing import Any

import pytest

from deploy.engine import Compose, Container
from services.errors import UnavailableError

DOCKER = """#!/bin/sh
case "$*" in
  "compose version") exit 0;;
  *"ps --quiet") echo one;;
  "inspect one") cat "$INSPECTED";;
  *) echo "refused: $*" >&2; exit 1;;
esac
"""


def _record(**state: Any) -> dict[str, Any]:
    return {
        "Id": "one",
        "Name": "/trial_api_1",
        "Config": {"Labels": {"com.docker.compose.service": "api"}},
        "HostConfig": {"RestartPolicy": {"Name": "unless-stopped"}},
        "State": {"Pid": 0, "StartedAt": "then", "Status": "running", "Health": {"Status": "healthy"}}
        | state,
    }


@pytest.fixture
def inspected(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where the stand-in reads what it says of the container."""
    (tmp_path / "docker").write_text(DOCKER)
    (tmp_path / "docker").chmod(0o755)
    path = tmp_path / "inspected"
    path.write_text(json.dumps([_record()]))
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    monkeypatch.setenv("INSPECTED", str(path))
    return path


@pytest.fixture
def compose(inspected: Path) -> Compose:
    return Compose(inspected.parent, "trial", {}, None)


def test_a_container_is_told_with_its_service_and_health(compose: Compose) -> None:
    [container] = compose.containers()

    assert (container.service, container.name, container.health) == ("api", "trial_api_1", "healthy")


def test_a_container_that_is_to_run_once_is_not_waited_for(compose: Compose, inspected: Path) -> None:
    record = _record() | {"HostConfig": {"RestartPolicy": {"Name": "no"}}}
    inspected.write_text(json.dumps([record]))

    assert compose.containers() == []


def test_a_service_that_does_not_become_healthy_is_named(compose: Compose, inspected: Path) -> None:
    inspected.write_text(json.dumps([_record(Health={"Status": "unhealthy"})]))

    with pytest.raises(UnavailableError, match=r"'trial_api_1': 'unhealthy'.*missing: \['redis'\]"):
        compose.wait_until_healthy(["api", "redis"], within_s=0)


def test_a_container_counts_as_back_only_when_it_was_started_anew(compose: Compose, inspected: Path) -> None:
    [before] = compose.containers()

    with pytest.raises(UnavailableError, match="trial_api_1 is not back"):
        compose.wait_until_back(before, within_s=0)
    inspected.write_text(json.dumps([_record(StartedAt="now")]))
    compose.wait_until_back(before, within_s=0)


def test_the_first_process_is_killed_from_outside(compose: Compose) -> None:
    with subprocess.Popen(["sleep", "60"]) as process:
        compose.kill(Container.from_inspection(_record(Pid=process.pid)))

        assert process.wait() == -signal.SIGKILL


def test_a_command_that_fails_is_told(compose: Compose) -> None:
    with pytest.raises(UnavailableError, match=r"trial up` failed"):
        compose.run("up")


def test_without_an_engine_it_is_said_what_to_install(
    inspected: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", "/nowhere")

    with pytest.raises(UnavailableError, match="install Docker Engine"):
        Compose(inspected.parent, "trial", {}, None)
