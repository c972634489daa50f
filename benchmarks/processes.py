"""Processes that a measurement starts, and ends by their own id."""

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import psutil  # type: ignore[import-untyped]  # ships no types

ROOT: Final = Path(__file__).parents[1]
_START_LIMIT_S: Final = 60.0
_STOP_LIMIT_S: Final = 45.0


class ProcessError(Exception):
    """A process did not come up."""


class Started:
    """A running process, in a process group of its own, that writes to a log file."""

    def __init__(
        self, command: Sequence[str | Path], *, log: Path, env: Mapping[str, str] | None, folder: Path
    ) -> None:
        self._log = log
        with log.open("wb") as output:
            self._process = subprocess.Popen(
                [str(part) for part in command],
                cwd=folder,
                env={**os.environ, **(env or {})},
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )

    @property
    def pid(self) -> int:
        """Its process id."""
        return self._process.pid

    @property
    def ended(self) -> bool:
        """Whether the process is gone."""
        return self._process.poll() is not None

    def log_tail(self) -> str:
        """The end of its log, for an error message."""
        return " | ".join(self._log.read_text(errors="replace").strip().splitlines()[-5:])

    def memory_mib(self) -> float:
        """Resident memory of the process and its children, in MiB."""
        process = psutil.Process(self._process.pid)
        family = [process, *process.children(recursive=True)]
        return sum(float(member.memory_info().rss) for member in family) / 2**20

    def cpu_s(self, word: str = "") -> float:
        """Processor seconds of the process and its children, or of those with `word` in their command line."""
        process = psutil.Process(self._process.pid)
        family = [process, *process.children(recursive=True)]
        times = [member.cpu_times() for member in family if not word or word in member.cmdline()]
        return sum(float(time_.user + time_.system) for time_ in times)

    def terminate(self) -> None:
        """Asks it to end (SIGTERM)."""
        if not self.ended:
            self._process.terminate()

    def wait(self, timeout_s: float) -> int:
        """Its exit status.

        Raises:
            ProcessError: when it is still there after the time given.
        """
        try:
            return self._process.wait(timeout_s)
        except subprocess.TimeoutExpired as error:
            raise ProcessError(f"process {self._process.pid} does not end") from error

    def stop(self) -> None:
        """Ends it and what it started: gently, then at once."""
        self.terminate()
        with suppress(ProcessError):
            self.wait(_STOP_LIMIT_S)
        try:
            os.killpg(self._process.pid, signal.SIGKILL)
        except ProcessLookupError:
            return
        self._process.wait()


@dataclass(frozen=True, slots=True)
class Served:
    """A service that listens on a port, and the processes it consists of."""

    port: int
    processes: tuple[Started, ...]

    def cpu_s(self, word: str = "") -> float:
        """Processor seconds of all processes, or of those with `word` in their command line."""
        return sum(process.cpu_s(word) for process in self.processes)


@contextmanager
def started(
    command: Sequence[str | Path],
    *,
    log: Path,
    env: Mapping[str, str] | None = None,
    port: int = 0,
    folder: Path = ROOT,
) -> Iterator[Started]:
    """A process in `folder` for the length of a `with` block; with a port, from when it accepts connections there.

    Raises:
        ProcessError: when it ends early or does not listen in time; the message holds its last words.
    """
    process = Started(command, log=log, env=env, folder=folder)
    try:
        if port:
            _await_port(process, port)
        yield process
    finally:
        process.stop()


def _await_port(process: Started, port: int) -> None:
    deadline = time.monotonic() + _START_LIMIT_S
    while time.monotonic() < deadline:
        if process.ended:
            raise ProcessError(f"a process ended while starting: {process.log_tail()}")
        try:
            socket.create_connection(("127.0.0.1", port), timeout=1).close()
        except OSError:
            time.sleep(0.05)
        else:
            return
    raise ProcessError(f"nothing listens on port {port} after {_START_LIMIT_S:.0f} s: {process.log_tail()}")


def free_port() -> int:
    """A loopback port that was free a moment ago."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def python_module(module: str, *arguments: str | Path) -> list[str]:
    """The command that runs a module in this environment."""
    return [sys.executable, "-m", module, *(str(argument) for argument in arguments)]
