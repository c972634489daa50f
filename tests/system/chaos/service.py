"""A whole service whose processes a test kills, stops and continues one by one."""

import os
import signal
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Final

from deploy.local import Local, running
from deploy.processes import processes_of
from hxserve import Client
from hxserve.errors import ClientError
from hxserve.jobs import Job
from services.jobs.store import JobStore
from services.settings import Settings
from services.store.connection import Connection
from tests.services.samples import events_of

if TYPE_CHECKING:
    from tests.system.chaos.stream import Crops

PATIENCE_S: Final = 90.0
"""Longer than anything awaited here takes; nobody waits so long unless a test fails."""

_LOOK_EVERY_S: Final = 0.02


@dataclass
class Service:
    """A running service; who waits with it starts again what has ended, as `hxserve up` does."""

    local: Local
    settings: Settings
    faults: Path
    held: set[str] = field(default_factory=set)
    """Processes that stay ended for now."""
    restarts: dict[str, int] = field(default_factory=dict)

    @property
    def redis_url(self) -> str:
        """Where its Redis listens."""
        return f"unix://{self.settings.data_dir.resolve() / 'redis' / 'redis.sock'}"

    @contextmanager
    def client(self) -> Iterator[Client]:
        """A client that does not give up while processes are started again."""
        with Client(
            self.local.url, self.local.token, retries=200, backoff_s=0.05, patience_s=PATIENCE_S
        ) as client:
            yield client

    @contextmanager
    def connection(self) -> Iterator[Connection]:
        """A connection to its Redis, to look at the records themselves."""
        connection = Connection(self.redis_url)
        try:
            yield connection
        finally:
            connection.close()

    def ended(self, job: Job) -> Job:
        """A job in its final state."""
        with Client(self.local.url, self.local.token, retries=0) as client:
            seen = [job]

            def is_final() -> bool:
                with suppress(ClientError):
                    seen.append(client.job(job.id))
                return seen[-1].is_final

            self.until(is_final, f"the end of {job.summary}")
            return seen[-1]

    def events_of(self, job: Job) -> list[str]:
        """The types of a job's events, oldest first."""
        with self.connection() as connection:
            events = events_of(JobStore(connection, keep_jobs_s=3600), job.id)
        return [event["type"] for _, _, event in events]

    def pid(self, name: str) -> int:
        """The process of this name."""
        return self.local.processes[name].pid

    def send(self, name: str, number: signal.Signals) -> None:
        """Sends a process a signal."""
        os.kill(self.pid(name), number)

    def kill(self, name: str, *, away_s: float = 0.0) -> None:
        """Kills a process on the spot, and starts it again after so many seconds."""
        self.kill_and_leave(name)
        self.let_pass(away_s)
        self.held.discard(name)
        self.revive()

    def kill_and_leave(self, name: str) -> None:
        """Kills a process on the spot; it stays ended while its name is in `held`."""
        process = self.local.processes[name]
        self.held.add(name)
        os.kill(process.pid, signal.SIGKILL)
        self.until(lambda: process.exit_status() is not None, f"the end of {name}")

    def until_answered(self, crops: "Crops") -> float:
        """Waits until the chip has read a crop; says how many seconds."""
        with Client(self.local.url, self.local.token, retries=0) as client:

            def is_answered() -> bool:
                with suppress(ClientError):  # not longer: a process that has ended meanwhile is started again
                    image = crops.images[:1]
                    return len(client.classify(image, crops.model, crops.version, wait_s=1, timeout_s=2)) == 1
                return False

            return self.until(is_answered, "an answer")

    def revive(self) -> None:
        """Starts again what has ended."""
        for name, process in self.local.processes.items():
            if name not in self.held and process.revive():
                self.restarts[name] = self.restarts.get(name, 0) + 1

    def let_pass(self, seconds: float) -> None:
        """Waits."""
        until = time.monotonic() + seconds
        while time.monotonic() < until:
            self.revive()
            time.sleep(_LOOK_EVERY_S)

    def until(self, condition: Callable[[], bool], what: str = "it") -> float:
        """Waits for a condition; says how many seconds. Fails when it never holds."""
        started = time.monotonic()
        while not condition():
            self.revive()
            assert time.monotonic() < started + PATIENCE_S, f"waited in vain until {what} happened"
            time.sleep(_LOOK_EVERY_S)
        return time.monotonic() - started


@contextmanager
def disturbable(settings: Settings, *, standby: bool = False) -> Iterator[Service]:
    """A service with workers whose chips may be told to fail."""
    faults = settings.data_dir / "faults"
    faults.mkdir(parents=True)
    with running(settings, commands=_commands(faults, standby=standby)) as local:
        yield Service(local, settings, faults)


def _commands(faults: Path, *, standby: bool) -> Mapping[str, list[str]]:
    launcher = [sys.executable, "-m", "tests.system.chaos.faulty_worker", str(faults)]
    usual = processes_of(standby=standby)
    # What follows `python -m worker` are the worker's own flags.
    return {
        name: [*launcher, *command[3:]] if command[2] == "worker" else command
        for name, command in usual.items()
    }
