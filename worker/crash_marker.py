"""The crash marker: a file that names the job in its slice, for the next worker after a crash.

The file outlives a killed process (not a power cut, after which no job is suspect), costs no round trip, and is
read once when the next worker starts. A worker that was replaced leaves its successor's marker as it is.
"""

import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


class CrashMarker:
    """The crash marker of one chip's worker."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._writer = secrets.token_hex(4)

    @contextmanager
    def marking(self, job_id: str) -> Iterator[None]:
        """Name the job while its slice runs; the name stays if the process dies in it."""
        mine = f"{job_id} {self._writer}"
        self._write(mine)
        try:
            yield
        finally:
            if self._text() == mine:
                self._write("")

    def read(self) -> str:
        """Return the job in whose slice the previous process died, or nothing."""
        return self._text().partition(" ")[0]

    def clear(self) -> None:
        """Clear the marker, so that a job is suspected of one death only."""
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
            # A full disk must not stop the work; at worst a job that crashes its worker is found later.
            return
