"""The service of docker-compose.yml on this machine's engine, with containers, secrets and ports of its own."""

import json
import os
import shutil
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Final

import pytest

from deploy.ports import free_port
from hxserve import Client
from tests.deploy.conftest import ROOT

SERVICES: Final = ("redis", "api", "proxy", "worker", "flower", "worker-2", "prometheus")
"""Grafana is left out: Debian has no package to build its image from."""
PATIENCE_S: Final = 240.0
Container = dict[str, Any]
"""A container as `docker inspect` describes it."""


class Project:
    """The containers of one Compose project.

    Attributes:
        secrets: The folder of secrets, by name.
        client: A client of the proxy, as the admin.
        prometheus: The address of Prometheus.
    """

    def __init__(self, secrets: Path) -> None:
        subprocess.run(["sh", str(ROOT / "deploy/make_secrets.sh"), str(secrets)], check=True)
        (secrets / "metrics_token").touch()
        published = {
            f"PUBLISH{suffix}": f"127.0.0.1:{free_port('127.0.0.1', 0)}"
            for suffix in ("", "_FLOWER", "_PROMETHEUS", "_GRAFANA")
        }
        self.secrets = secrets
        self.client = Client(
            f"http://{published['PUBLISH']}", (secrets / "admin_token").read_text(), retries=12
        )
        self.prometheus = f"http://{published['PUBLISH_PROMETHEUS']}"
        self._environment = {**os.environ, **published, "SECRETS": str(secrets), "TAG": "trial"}
        self._compose = [*_compose_command(), "--project-name", "hxserve-trial"]

    def compose(self, *arguments: str) -> str:
        """Run a Compose command; return its output."""
        return self._run(*self._compose, *arguments)

    def up(self, *services: str) -> None:
        """Start services and wait until all their containers are healthy."""
        self.compose("up", "--detach", *services)
        self.wait_until(
            lambda found: (
                set(services) <= {service_of(one) for one in found}
                and all(is_healthy(one) for one in found if service_of(one) in services)
            )
        )

    def containers(self) -> list[Container]:
        """Return the containers that are meant to stay, by name."""
        ids = self.compose("ps", "--quiet").split()
        found: list[Container] = json.loads(self._run("docker", "inspect", *ids)) if ids else []
        staying = [one for one in found if one["HostConfig"]["RestartPolicy"]["Name"] == "unless-stopped"]
        return sorted(staying, key=lambda one: str(one["Name"]))

    def wait_until(self, holds: Callable[[list[Container]], bool]) -> None:
        """Return when the condition holds for the containers; fail after `PATIENCE_S`."""
        until = time.monotonic() + PATIENCE_S
        while not holds(found := self.containers()):
            assert time.monotonic() < until, {one["Name"]: one["State"] for one in found}
            time.sleep(0.5)

    def _run(self, *command: str) -> str:
        return subprocess.run(
            command, cwd=ROOT, env=self._environment, stdout=subprocess.PIPE, text=True, check=True
        ).stdout


def service_of(container: Container) -> str:
    """Return the service in docker-compose.yml that a container runs."""
    return str(container["Config"]["Labels"]["com.docker.compose.service"])


def is_healthy(container: Container) -> bool:
    """Return True if the container's health check passes."""
    return bool(container["State"].get("Health", {}).get("Status") == "healthy")


def _compose_command() -> list[str]:
    plugin = subprocess.run(["docker", "compose", "version"], capture_output=True, check=False)
    return ["docker", "compose"] if plugin.returncode == 0 else ["docker-compose"]


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Project]:
    """All services but Prometheus, which needs the token of a user first."""
    if os.environ.get("COMPOSE") != "1" or shutil.which("docker") is None:
        pytest.skip("set COMPOSE=1 and run as root on the host of a Docker engine")
    project = Project(tmp_path_factory.mktemp("secrets"))
    try:
        project.compose("build")
        project.up(*(name for name in SERVICES if name != "prometheus"))
        yield project
    finally:
        project.compose("down", "--volumes", "--remove-orphans")
        project.client.close()
