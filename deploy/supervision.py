"""Processes of a service on one machine: started, watched, started again, stopped."""

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
"""A log that is larger is put aside, in the place of the one put aside before; so each process has two."""

_PR_SET_PDEATHSIG: Final = 1
"""Source: prctl(2)."""


class Supervised:
    """A process of the service; its output goes to a file, and it ends when this process does."""

    def __init__(
        self,
        name: str,
        command: Sequence[str],
        log: Path,
        *,
        environment: Mapping[str, str],
        keeps_open: Sequence[int] = (),
    ) -> None:
        """Starts it; what is open under the descriptors `keeps_open` stays so until it has ended too."""
        self.name = name
        self._keeps_open = keeps_open
        self.log = log
        self._command = command
        self._environment = environment
        self._process = self._start()

    @property
    def pid(self) -> int:
        """Its process id."""
        return self._process.pid

    def exit_status(self) -> int | None:
        """How it ended, or None while it runs."""
        return self._process.poll()

    def revive(self) -> bool:
        """Starts it again if it has ended; says whether it had."""
        if self._process.poll() is None:
            return False
        self._process = self._start()
        return True

    def put_log_aside(self, largest_bytes: int = LARGEST_LOG_BYTES) -> bool:
        """Begins the log anew if it is too large, with what was in it beside it; says whether it was.

        The process holds the file open and adds to its end, wherever that is, so it need not know. What it writes
        between copying and cutting is lost.
        """
        if self.log.stat().st_size <= largest_bytes:
            return False
        shutil.copyfile(self.log, self.log.with_name(f"{self.log.name}.1"))
        os.truncate(self.log, 0)
        return True

    def stop(self) -> None:
        """Asks it to end, and insists after a while."""
        if self._process.poll() is None:
            self._process.terminate()
        try:
            self._process.wait(_STOP_TIMEOUT_S)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()

    def last_words(self) -> str:
        """The end of its log."""
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
    """Lets the kernel end this process when its supervisor is killed, so that no Redis is left on its data."""
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)
    if os.getppid() == 1:
        os._exit(1)
