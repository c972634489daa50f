"""`python -m tests.browser.stopwatch`: how long a newcomer needs, from a fresh clone to a model of their own.

Clones the repository, runs `make serve`, and does on the page what a visitor does: trains, draws a digit, and teaches
it a handwriting. Nothing is prepared; the environment is a part of the time.
"""

import argparse
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final
from urllib.parse import urljoin

from playwright.sync_api import Page, expect

from deploy.ports import free_port
from tests.browser.chromium import chromium, find_chromium
from tests.browser.test_draw import ZERO, draw_by_mouse
from tests.browser.test_teach import COUNTS, LESSON_MS, write_all

_READY: Final = "hxserve is ready: "
_TRAINED_MS: Final = 300_000


def main() -> int:
    """Take the times; return the exit status."""
    parser = argparse.ArgumentParser("python -m tests.browser.stopwatch", description=__doc__)
    parser.add_argument(
        "--mnist", type=Path, help="folder that holds MNIST; else the small digits are learnt"
    )
    options = parser.parse_args()
    executable = find_chromium()
    if executable is None:
        print("there is no chromium; `apt-get install chromium`", file=sys.stderr)  # noqa: T201 the terminal
        return 1
    with tempfile.TemporaryDirectory(prefix="hx-") as folder, chromium(executable) as browser:
        started = time.monotonic()

        def say(what: str) -> None:
            print(f"{time.monotonic() - started:6.1f} s  {what}", flush=True)  # noqa: T201 the result

        with _fresh_service(Path(folder), options.mnist) as address:
            page = browser.new_page(viewport={"width": 1280, "height": 800}, locale="en")
            page.goto(address)
            say("the page is open")
            _train(page)
            say("a network has learnt digits")
            _draw(page)
            say("a digit drawn by hand is read right")
            page.goto(urljoin(page.url, "/teach"))
            write_all(page)
            say("a handwriting is written down")
            page.get_by_role("button", name="Teach it").click()
            expect(page.locator("#outcome")).to_have_text(COUNTS, timeout=LESSON_MS)
            say("a model of one's own: " + page.locator("#outcome").inner_text())
    return 0


@contextmanager
def _fresh_service(folder: Path, mnist: Path | None) -> Iterator[str]:
    """Clone the repository and run `make serve` there; gives the address that it prints."""
    clone = folder / "hxserve"
    subprocess.run(["git", "clone", "-q", Path.cwd(), clone], check=True)
    command = ["make", "-s", "serve", *([f"MNIST={mnist.resolve()}"] if mnist else [])]
    own = {"HXSERVE_PORT": str(free_port("127.0.0.1", 0)), "HXSERVE_DATA_DIR": str(folder)}
    with subprocess.Popen(
        command, cwd=clone, env=os.environ | own, stdout=subprocess.PIPE, text=True, start_new_session=True
    ) as service:
        try:
            yield _address(service)
        finally:
            os.killpg(service.pid, signal.SIGINT)
            service.communicate()


def _address(service: subprocess.Popen[str]) -> str:
    assert service.stdout is not None
    for line in service.stdout:
        if line.startswith(_READY):
            return line.removeprefix(_READY).strip()
    raise SystemExit("the service did not start")


def _train(page: Page) -> None:
    page.get_by_role("link", name="Train one").click()
    page.get_by_role("radio", name="A quick look").check()
    page.get_by_role("button", name="Start the training").click()
    expect(page.get_by_role("link", name="Draw with it")).to_be_visible(timeout=_TRAINED_MS)


def _draw(page: Page) -> None:
    page.get_by_role("link", name="Draw with it").click()
    draw_by_mouse(page, ZERO)
    expect(page.locator("#digit")).to_have_text("0")


if __name__ == "__main__":
    sys.exit(main())
