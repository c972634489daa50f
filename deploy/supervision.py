"""A supervised process of a service on one machine."""

import ctypes
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final

_STOP_TIMEOUT_S: Final = 20.0
LARGEST_LOG_BYTES: Final = 16 * 2**20
_PR_SET_PDEATHSIG: Final = 1
"""Source: prctl(2)."""


class Supervised:
    """A process that writes its output to a file, and ends when the present process does.

    Attributes:
        name: Of the process, for messages.
        log: The file of its output.
    """

    def __init__(
        self,
        name: str,
        command: Sequence[str],
        log: Path,
        *,
        environment: Mapping[str, str],
        keeps_open: Sequence[int] = (),
    ) -> None:
        """Start the process; it inherits the file descriptors `keeps_open`."""
        self.name = name
        self.log = log
        self._command = command
        self._environment = environment
        self._keeps_open = keeps_open
        self._process = self._start()

    @property
    def pid(self) -> int:
        """The process id."""
        return self._process.pid

    def exit_status(self) -> int | None:
        """Return the exit status, or None while the process runs."""
        return self._process.poll()

    def revive(self) -> bool:
        """Start the process again if it has ended; return True if it had."""
        if self._process.poll() is None:
            return False
        self._process = self._start()
        return True

    def rotate_log(self, largest_bytes: int = LARGEST_LOG_BYTES) -> bool:
        """Copy a log that is too large to `<log>.1` and truncate it; return True if it was too large.

        The process appends to the open file and need not notice. Lines written between the two steps are lost.
        """
        if self.log.stat().st_size <= largest_bytes:
            return False
        shutil.copyfile(self.log, self.log.with_name(f"{self.log.name}.1"))
        os.truncate(self.log, 0)
        return True

    def stop(self) -> None:
        """Terminate the process, and kill it if it does not end in time."""
        if self._process.poll() is None:
            self._process.terminate()
        try:
            self._process.wait(_STOP_TIMEOUT_S)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()

    def log_tail(self) -> str:
        """Return the last five lines of the log."""
        return "\n".join(self.log.read_text("utf-8", "replace").splitlines()[-5:])

    def _start(self) -> "subprocess.Popen[bytes]":
        with self.log.open("ab") as output:
            return subprocess.Popen(  # noqa: S603 our own command
                self._command,
                env=dict(self._environment),
                pass_fds=self._keeps_open,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                # Ctrl-C reaches the supervising process alone, which then stops the others in order.
                start_new_session=True,
                preexec_fn=_end_with_parent if sys.platform == "linux" else None,  # noqa: PLW1509 one system call
            )


def _end_with_parent() -> None:
    """Let the kernel end this process when its supervisor is killed, so that no Redis is left on its data."""
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)
    if os.getppid() == 1:
        os._exit(1)
