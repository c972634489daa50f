"""`python -m tests.browser.screenshots`: pictures of the pages for `docs/images`, of a service that was used."""

import argparse
import io
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from itertools import pairwise
from pathlib import Path
from typing import Any, Final

from PIL import Image
from playwright.sync_api import Browser, Page

from deploy.local import Local, running
from hxserve import Client
from hxserve.jobs import Job
from services.settings import load_settings
from tests.browser.chromium import chromium, find_chromium

_FOLDER: Final = Path("docs/images")
_WIDE: Final[Any] = {"width": 1200, "height": 800}
_NARROW: Final[Any] = {"width": 360, "height": 740}
_THREE: Final = ((0.3, 0.22), (0.5, 0.16), (0.66, 0.26), (0.62, 0.4), (0.45, 0.48), (0.64, 0.55), (0.68, 0.7))
_END_OF_THREE: Final = ((0.54, 0.83), (0.38, 0.82), (0.3, 0.74))
_SEVEN: Final = ((0.28, 0.22), (0.5, 0.21), (0.7, 0.2), (0.6, 0.42), (0.52, 0.62), (0.46, 0.82))
_STAGE: Final[Any] = {"width": 900, "height": 648}
_FRAME_MS: Final = 90
_REST_FRAMES: Final = 12


def main() -> int:
    """Takes the pictures; the exit status."""
    parser = argparse.ArgumentParser("python -m tests.browser.screenshots", description=__doc__)
    parser.add_argument("--mnist", type=Path, help="folder that holds MNIST; else the small digits are shown")
    parser.add_argument("--folder", type=Path, default=_FOLDER, help="where the pictures go")
    options = parser.parse_args()
    executable = find_chromium()
    if executable is None:
        print("there is no chromium; `apt-get install chromium`", file=sys.stderr)  # noqa: T201 the terminal
        return 1
    with tempfile.TemporaryDirectory(prefix="hxserve-pages-") as data:
        settings = load_settings(
            data_dir=Path(data), chip="emulator", mnist=options.mnist, port=0, canary_every_s=4
        )
        with running(settings) as local, chromium(executable) as browser:
            _take_all(local, browser, options.folder, options.mnist)
    return 0


def _take_all(local: Local, browser: Browser, folder: Path, mnist: Path | None) -> None:
    job = _prepare(local)
    with _page(browser, local, viewport=_WIDE) as page:
        page.goto(f"/jobs/{job.id}")
        page.locator("#mistakes img").first.wait_for()
        page.locator("#other").select_option(index=1)
        _take(page, folder / "page-training.png", full=True)
        page.goto("/chip")
        page.locator("#pattern svg").first.wait_for()
        page.locator("#canary circle").nth(3).wait_for()
        _take(page, folder / "page-chip.png", full=True)
        page.goto("/jobs")
        _take(page, folder / "page-jobs.png")
        page.goto("/")
        _draw_three(page)
        _take(page, folder / "page-draw.png")
    with _page(browser, local, viewport=_STAGE) as page:
        _film(page, folder / "draw.gif")
    with _page(browser, local, viewport=_NARROW, locale="de", color_scheme="dark", has_touch=True) as page:
        _draw_three(page)
        _take(page, folder / "page-draw-narrow-dark.png", full=True)
    with _page(browser, local, viewport=_WIDE, color_scheme="dark") as page, _letters(local, mnist):
        page.goto("/letters")
        page.locator(".letter").nth(7).wait_for(timeout=90_000)
        page.locator(".centre").evaluate("(section) => section.scrollIntoView()")
        _take(page, folder / "page-letters-dark.png")


def _prepare(local: Local) -> Job:
    """Something to look at: two versions, an evaluation, and a training under way."""
    with Client(local.url, local.token) as client:
        client.train("digits", wait=True, recipe="notebook", execution="mock", epochs=3)
        job = client.train("digits", wait=True, recipe="strong", execution="mock")
        client.evaluate("digits", wait=True, execution="chip")
        client.train("digits", recipe="strong", execution="chip", start_from="latest")
        return job


@contextmanager
def _page(browser: Browser, local: Local, **options: Any) -> Iterator[Page]:
    context = browser.new_context(base_url=local.url, **options)
    page = context.new_page()
    page.goto(f"/?token={local.token}")
    yield page
    context.close()


@contextmanager
def _letters(local: Local, mnist: Path | None) -> Iterator[None]:
    """A letter centre that sorts meanwhile."""
    command = [sys.executable, "-m", "hxserve", "letters", "--machines", "2", "--letters", "2000"]
    command += ["--rate", "3000", "--threshold", "0.9", *(("--mnist", str(mnist)) if mnist else ())]
    environment = {**os.environ, "HXSERVE_URL": local.url, "HXSERVE_TOKEN": local.token}
    process = subprocess.Popen(command, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        yield
    finally:
        process.terminate()
        process.wait()


def _film(page: Page, path: Path) -> None:
    """Two digits, each read while it is drawn: a GIF that repeats for ever."""
    frames: list[Image.Image] = []

    def record() -> None:
        shot = Image.open(io.BytesIO(page.screenshot(animations="disabled")))
        frames.append(shot.convert("RGB").resize((675, 486), Image.Resampling.LANCZOS))

    _await_model(page)
    for stroke in (_THREE + _END_OF_THREE, _SEVEN):
        page.locator("#clear").click()
        page.locator("#digit", has_text="?").wait_for()
        record()
        _draw(page, stroke, record)
        page.wait_for_timeout(500)
        frames.extend(frames[-1:] * 3)
        record()
        frames.extend(frames[-1:] * _REST_FRAMES)
    palette = frames[-1].quantize(64, dither=Image.Dither.NONE)
    first, *others = [frame.quantize(palette=palette, dither=Image.Dither.NONE) for frame in frames]
    first.save(path, save_all=True, append_images=others, duration=_FRAME_MS, loop=0, optimize=True)
    print(path)  # noqa: T201 the terminal


def _draw_three(page: Page) -> None:
    _await_model(page)
    _draw(page, _THREE + _END_OF_THREE)


def _await_model(page: Page) -> None:
    page.wait_for_function("() => document.querySelector('#model').options.length > 1")


def _draw(
    page: Page, stroke: Sequence[tuple[float, float]], record: Callable[[], None] = lambda: None
) -> None:
    """Draw a stroke by mouse, in parts of the canvas, and record each step."""
    box = page.locator("#canvas").bounding_box()
    assert box is not None
    places = [(box["x"] + x * box["width"], box["y"] + y * box["height"]) for x, y in stroke]
    page.mouse.move(*places[0])
    page.mouse.down()
    for (x0, y0), (x1, y1) in pairwise(places):
        for part in (0.5, 1.0):
            page.mouse.move(x0 + part * (x1 - x0), y0 + part * (y1 - y0), steps=3)
            record()
    page.mouse.up()
    page.mouse.move(1, 1)


def _take(page: Page, path: Path, *, full: bool = False) -> None:
    page.wait_for_timeout(1500)
    path.parent.mkdir(parents=True, exist_ok=True)
    page.screenshot(path=path, full_page=full, animations="disabled")
    print(path)  # noqa: T201 the terminal


if __name__ == "__main__":
    sys.exit(main())
