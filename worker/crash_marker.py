"""A marker on disk that says which job is in its slice, so that a dead process can be told from its victim.

The file outlives a killed process (not a power cut, after which nobody is to blame), costs no round trip, and is
read once when the next worker starts. A worker that was replaced leaves its successor's marker as it is.
"""

import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


class CrashMarker:
    """The marker of one chip's worker."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._writer = secrets.token_hex(4)

    @contextmanager
    def marking(self, job_id: str) -> Iterator[None]:
        """Names the job while its slice runs; the name stays if the process dies in it."""
        mine = f"{job_id} {self._writer}"
        self._write(mine)
        try:
            yield
        finally:
            if self._text() == mine:
                self._write("")

    def read(self) -> str:
        """The job the former process died in, or nothing."""
        return self._text().partition(" ")[0]

    def clear(self) -> None:
        """Forgets the job, so that it is blamed for one death only."""
        self._write("")

    def _text(self) -> str:
        try:
            return self._path.read_text("ascii", "replace").strip()
        except OSError:
            return ""

    def _write(self, text: str) -> None:
        try:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            self._path.write_text(text, "ascii")
        except OSError:
            # A full disk must not stop the work; at worst a killer job is found out later.
            return
