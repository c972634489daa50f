"""Progress display while crops are read."""

import io
import json
import os
import pty
import subprocess
import sys
import termios
from pathlib import Path

import numpy as np
import pytest

from hxserve.progress import crops_progress
from tests.client.service import TOKEN, Service


class Terminal(io.StringIO):
    """A stream that is a terminal."""

    def isatty(self) -> bool:
        """Claims to be one."""
        return True


def test_crops_are_counted_at_a_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    terminal = Terminal()
    monkeypatch.setattr(sys, "stderr", terminal)
    monkeypatch.setenv("TERM", "xterm")

    with crops_progress() as update:
        for done in (0, 200, 300):
            update(done, 300)

    assert "reading:   0%" in terminal.getvalue()
    assert "/300" in terminal.getvalue()


@pytest.mark.parametrize(("stream", "crops"), [(io.StringIO, 300), (Terminal, 1)])
def test_in_a_file_or_of_one_crop_nothing_is_shown(
    monkeypatch: pytest.MonkeyPatch, stream: type[io.StringIO], crops: int
) -> None:
    written = stream()
    monkeypatch.setattr(sys, "stderr", written)

    with crops_progress() as update:
        update(0, crops)
        update(crops, crops)

    assert not written.getvalue()


def test_json_stays_clean_while_a_terminal_shows_the_progress(service: Service, tmp_path: Path) -> None:
    np.save(tmp_path / "many.npy", np.zeros((300, 784), np.uint8))
    environment = {**os.environ, "HXSERVE_URL": service.url, "HXSERVE_TOKEN": TOKEN, "TERM": "xterm"}
    ours, theirs = pty.openpty()
    os.set_blocking(ours, False)
    termios.tcsetwinsize(theirs, (24, 100))

    ended = subprocess.run(
        [sys.executable, "-m", "hxserve", "classify", "many.npy", "--json"],
        env=environment,
        stdout=subprocess.PIPE,
        stderr=theirs,
        check=True,
    )
    shown = os.read(ours, 2**16).decode()
    os.close(ours)
    os.close(theirs)

    assert len(json.loads(ended.stdout)["predictions"]) == 300
    assert "reading" in shown
