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
    """A process did not start."""


class Process:
    """A running process in a process group of its own, with its output in a log file."""

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
        """True if the process has ended."""
        return self._process.poll() is not None

    def log_tail(self) -> str:
        """Return the end of its log, for an error message."""
        return " | ".join(self._log.read_text(errors="replace").strip().splitlines()[-5:])

    def stop(self) -> None:
        """End the process with SIGTERM, then its whole process group with SIGKILL."""
        if not self.ended:
            self._process.terminate()
        with suppress(subprocess.TimeoutExpired):
            self._process.wait(_STOP_LIMIT_S)
        with suppress(ProcessLookupError):
            os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait()


@dataclass(frozen=True, slots=True)
class Server:
    """A server under load: its port on 127.0.0.1, the ids of its processes, and its port of gRPC, if it has one."""

    port: int
    pids: tuple[int, ...]
    grpc_port: int = 0

    def cpu_s(self, word: str = "") -> float:
        """Return processor seconds of its processes and their children, or of those with `word` in their command."""
        parents = [psutil.Process(pid) for pid in self.pids]
        family = [*parents, *(child for parent in parents for child in parent.children(recursive=True))]
        times = [process.cpu_times() for process in family if not word or word in process.cmdline()]
        return sum(float(time_.user + time_.system) for time_ in times)


@contextmanager
def started(
    command: Sequence[str | Path],
    *,
    log: Path,
    env: Mapping[str, str] | None = None,
    port: int = 0,
    folder: Path = ROOT,
) -> Iterator[Process]:
    """Run a process in `folder` for the length of a `with` block; with a port, from when it accepts connections there.

    Raises:
        ProcessError: it ends early or does not listen in time; the message holds the end of its log.
    """
    process = Process(command, log=log, env=env, folder=folder)
    try:
        if port:
            _await_port(process, port)
        yield process
    finally:
        process.stop()


def _await_port(process: Process, port: int) -> None:
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


def exit_on_sigterm() -> None:
    """Let SIGTERM raise SystemExit, so that started processes are stopped on the way out."""
    signal.signal(signal.SIGTERM, lambda number, _: sys.exit(128 + number))


def free_port() -> int:
    """Return a port of 127.0.0.1 that is free at the moment."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def python_module(module: str, *arguments: str | Path) -> list[str]:
    """Return the command that runs a module in this environment."""
    return [sys.executable, "-m", module, *(str(argument) for argument in arguments)]
