"""A reader at work: a fresh checkout, a terminal beside another one, and a Python prompt."""

import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

import pytest

from tests.docs.blocks import ROOT, Block

_NOT_IN_A_CHECKOUT: Final = (
    ".git",
    ".venv*",
    "data",
    "dist",
    "results",
    "*_cache",
    ".hypothesis",
    "__pycache__",
)
DISTRIBUTIONS: Final = ("", "client", "emulator", "letters", "planner")
"""Folders of a checkout that packages are imported from."""
_STAMPS: Final = (".serves", ".ready")
"""Files by which `make` knows that an environment is complete, in the order of their making."""
_BLOCK_S: Final = 400.0
_STOPPING_S: Final = 60.0
_SESSION: Final = """
if [ -f "$SESSION" ]; then . "$SESSION"; fi
trap 'export -p > "$SESSION"' EXIT
set -euo pipefail
"""
"""What a terminal keeps from one block to the next: exported variables. A block fails with its first command."""


@contextmanager
def checkout(folder: Path) -> Iterator[Path]:
    """The project in a folder of its own, with an environment, as a reader has it after `make env`."""
    place = folder / "hxserve"
    shutil.copytree(ROOT, place, ignore=shutil.ignore_patterns(*_NOT_IN_A_CHECKOUT))
    environment = place / ".venv"
    environment.mkdir()
    for part in Path(sys.prefix).iterdir():
        if part.name not in _STAMPS:
            (environment / part.name).symlink_to(part)
    for stamp in _STAMPS:
        (environment / stamp).touch()
    yield place


class Terminal:
    """Runs the blocks of one document one after the other.

    A block marked `background` goes on in a second terminal until the next such block, or the end. Ports are any
    that is free; everything else is as the document says it.
    """

    def __init__(self, place: Path) -> None:
        self._place = place
        self._session = place.parent / "session"
        self._log = place.parent / "background.log"
        self._beside: subprocess.Popen[bytes] | None = None
        self._names: dict[str, Any] = {"__name__": "__main__"}
        inherited = {name: text for name, text in os.environ.items() if not name.startswith("HXSERVE_")}
        self._variables = inherited | {
            "HXSERVE_PORT": "0",
            "MPLBACKEND": "Agg",
            "PATH": f"{place}/.venv/bin:{os.environ['PATH']}",
            "PYTHONPATH": ":".join(str(place / part) for part in DISTRIBUTIONS),
            "SESSION": str(self._session),
        }

    def run(self, block: Block) -> None:
        """Runs a block; fails when one of its commands does."""
        match block.language:
            case "bash" if block.background is not None:
                self._start(block, block.background)
            case "bash":
                self._shell(block, ["bash", "-c", _SESSION + block.source])
            case "diff":
                # Lines above and below may have changed since; what is replaced must be there.
                self._shell(block, ["git", "apply", "-C1", "-"], text=block.source)
            case "python":
                self._python(block)
            case _:
                raise AssertionError(f"{block.place}: {block.language} is not run")

    def close(self) -> None:
        """Stops what runs in the second terminal, with Ctrl-C."""
        if self._beside is None:
            return
        process, self._beside = self._beside, None
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGINT)
        try:
            process.wait(_STOPPING_S)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            raise

    def _shell(self, block: Block, command: list[str], text: str = "") -> None:
        done = subprocess.run(
            command,
            cwd=self._place,
            env=self._variables,
            input=text,
            text=True,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            timeout=_BLOCK_S,
            check=False,
        )
        assert done.returncode == 0, (
            f"{block.place} ended with {done.returncode}\n{block.source}\n{done.stdout[-4000:]}{self._background_log()}"
        )

    def _start(self, block: Block, until: str) -> None:
        self.close()
        with self._log.open("wb") as log:
            self._beside = subprocess.Popen(
                ["bash", "-c", _SESSION + block.source],
                cwd=self._place,
                env=self._variables,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        end = time.monotonic() + _BLOCK_S
        while until not in self._log.read_text("utf-8"):
            assert self._beside.poll() is None, f"{block.place} ended{self._background_log()}"
            assert time.monotonic() < end, f"{block.place} did not print {until!r}{self._background_log()}"
            time.sleep(0.05)

    def _python(self, block: Block) -> None:
        code = compile("\n" * block.line + block.source, str(block.path), "exec")
        with pytest.MonkeyPatch.context() as patch:
            patch.chdir(self._place)
            for name, text in {**self._variables, **self._exported()}.items():
                patch.setenv(name, text)
            exec(code, self._names)  # noqa: S102 the documentation's own code

    def _exported(self) -> dict[str, str]:
        """What the shell has exported."""
        if not self._session.exists():
            return {}
        listing = subprocess.run(
            ["bash", "-c", '. "$SESSION" && env -0'],
            env=self._variables,
            stdout=subprocess.PIPE,
            text=True,
            check=True,
        ).stdout
        return dict(entry.split("=", 1) for entry in listing.split("\0") if entry)

    def _background_log(self) -> str:
        if not self._log.exists():
            return ""
        return f"\nIn the second terminal:\n{self._log.read_text('utf-8')[-2000:]}"
