"""Docker Compose as the trial uses it: its commands, and what the engine says of the containers."""

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from services.errors import UnavailableError

_LOOK_EVERY_S: Final = 0.5
_COMMAND_TIMEOUT_S: Final = 3600


@dataclass(frozen=True, slots=True)
class Container:
    """A container as it stands: `pid` is that of its first process on the host, 0 if it does not run."""

    id: str
    service: str
    name: str
    pid: int
    started_at: str
    health: str
    inspected: Mapping[str, Any]

    @classmethod
    def from_inspection(cls, record: Mapping[str, Any]) -> "Container":
        """The container that `docker inspect` describes."""
        state = record["State"]
        return cls(
            id=record["Id"],
            service=record["Config"]["Labels"]["com.docker.compose.service"],
            name=record["Name"].lstrip("/"),
            pid=state["Pid"],
            started_at=state["StartedAt"],
            health=state.get("Health", {}).get("Status", state["Status"]),
            inspected=record,
        )


class Compose:
    """One project of containers.

    Args:
        folder: that of `docker-compose.yml`.
        project: the name before those of its containers, volumes and networks.
        variables: what the file asks for, beside the environment of this process.
        env_file: more of them.
    """

    def __init__(
        self, folder: Path, project: str, variables: Mapping[str, str], env_file: Path | None
    ) -> None:
        self._folder = folder
        self._environment = {**os.environ, **variables}
        self._command = [
            *_compose_command(),
            *("--project-name", project),
            *(("--env-file", str(env_file.resolve())) if env_file else ()),
        ]

    def run(self, *arguments: str) -> None:
        """A command; what it says goes to standard error.

        Raises:
            UnavailableError: it fails.
        """
        self._call([*self._command, *arguments], output=sys.stderr)

    def containers(self) -> list[Container]:
        """All of them that are meant to run, by their names."""
        ids = self._call([*self._command, "ps", "--quiet"]).split()
        if not ids:
            return []
        records = json.loads(self._call(["docker", "inspect", *ids]))
        found = [Container.from_inspection(record) for record in records]
        return sorted((one for one in found if _is_kept_running(one)), key=lambda one: one.name)

    def wait_until_healthy(self, services: Iterable[str], within_s: float) -> None:
        """Returns when all containers of these services are healthy.

        Raises:
            UnavailableError: one is not in time; its state is told.
        """
        wanted, until = set(services), time.monotonic() + within_s
        while True:
            here = [one for one in self.containers() if one.service in wanted]
            late = {one.name: one.health for one in here if one.health != "healthy"}
            missing = wanted - {one.service for one in here}
            if not late and not missing:
                return
            if time.monotonic() > until:
                raise UnavailableError(f"after {within_s:.0f} s: {late}, missing: {sorted(missing)}")
            time.sleep(_LOOK_EVERY_S)

    def kill(self, container: Container) -> None:
        """Kills its first process from outside, as the kernel would: `docker kill` counts as being told to stop.

        Raises:
            UnavailableError: this process may not, or runs on another machine than the engine.
        """
        try:
            os.kill(container.pid, signal.SIGKILL)
        except OSError as error:
            raise UnavailableError(
                f"{container.name} cannot be killed ({error.strerror}); run this as root on the engine's own host"
            ) from None

    def wait_until_back(self, container: Container, within_s: float) -> None:
        """Returns when the engine has started it again and it is healthy.

        Raises:
            UnavailableError: that does not happen in time.
        """
        until = time.monotonic() + within_s
        while True:
            now = next((one for one in self.containers() if one.id == container.id), None)
            if now and now.started_at != container.started_at and now.health == "healthy":
                return
            if time.monotonic() > until:
                raise UnavailableError(
                    f"{container.name} is not back after {within_s:.0f} s: {now and now.health}"
                )
            time.sleep(_LOOK_EVERY_S)

    def _call(self, command: Sequence[str], output: Any = subprocess.PIPE) -> str:
        try:
            done = subprocess.run(  # noqa: S603 our own commands
                command,
                cwd=self._folder,
                env=self._environment,
                stdout=output,
                stderr=sys.stderr if output is not subprocess.PIPE else subprocess.PIPE,
                text=True,
                check=True,
                timeout=_COMMAND_TIMEOUT_S,
            )
        except (OSError, subprocess.SubprocessError) as error:
            said = getattr(error, "stderr", None) or ""
            raise UnavailableError(f"`{' '.join(command)}` failed: {error} {said}".strip()) from None
        return done.stdout or ""


def _is_kept_running(container: Container) -> bool:
    return bool(container.inspected["HostConfig"]["RestartPolicy"]["Name"] == "unless-stopped")


def _compose_command() -> list[str]:
    """The plugin if the engine has it, else the older program.

    Raises:
        UnavailableError: there is neither.
    """
    if shutil.which("docker") is None:
        raise UnavailableError("there is no `docker` on the PATH; install Docker Engine")
    plugin = subprocess.run(["docker", "compose", "version"], capture_output=True, check=False)  # noqa: S607 on the PATH
    if plugin.returncode == 0:
        return ["docker", "compose"]
    if shutil.which("docker-compose") is None:
        raise UnavailableError(
            "there is neither `docker compose` nor `docker-compose`; install Docker Compose"
        )
    return ["docker-compose"]
