"""Supervised processes: their logs do not grow without end."""

import os
import sys
from pathlib import Path

from deploy.supervision import Supervised
from tests.system.conftest import wait_until

_WRITER = """
import time
for number in range(1, 100_000):
    print("line", number, flush=True)
    if number % 100 == 0:
        time.sleep(0.05)
"""


def test_a_log_that_is_too_large_is_put_aside_and_its_process_writes_on(tmp_path: Path) -> None:
    log = tmp_path / "writer.log"
    process = Supervised("writer", [sys.executable, "-c", _WRITER], log, environment=os.environ)
    try:
        wait_until(lambda: log.stat().st_size > 2000)
        first = process.rotate_log(2000)
        wait_until(lambda: log.stat().st_size > 2000)
        second = process.rotate_log(2000)
        small = process.rotate_log(10**9)
    finally:
        process.stop()

    assert (first, second, small) == (True, True, False)
    aside = (tmp_path / "writer.log.1").read_text().splitlines()
    written = log.read_text().splitlines()
    assert {path.name for path in tmp_path.iterdir()} == {"writer.log", "writer.log.1"}
    # The second one took the place of the first, and began after it; nothing is padded.
    assert "line 1" not in aside
    assert all(line.startswith("line ") for line in aside[1:])
    assert "\0" not in log.read_text()
    assert not written or int(written[-1].split()[-1]) > int(aside[-2].split()[-1])
