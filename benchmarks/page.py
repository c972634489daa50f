"""`python -m benchmarks.page`: how fast the page is, in a real Chromium on loopback.

The first paint is that of a browser that has never been here; live drawing is a stroke drawn slowly, each answer timed
by the page itself from the request to the shown result, on the mock arithmetic.
"""

import json
import statistics
import sys
import tempfile
from pathlib import Path
from typing import Any, Final

from playwright.sync_api import Browser, Page

from benchmarks.machine import describe_machine
from deploy.local import Local, running
from hxserve import Client
from services.settings import load_settings
from tests.browser.chromium import chromium, find_chromium

_VISITS: Final = 10
_STROKES: Final = 12
_STEPS: Final = 25
_STEP_MS: Final = 16


def main() -> int:
    """Measures and prints one JSON object; the exit status."""
    executable = find_chromium()
    if executable is None:
        print("there is no chromium; `apt-get install chromium`", file=sys.stderr)
        return 1
    with tempfile.TemporaryDirectory(prefix="hxserve-page-") as data:
        settings = load_settings(data_dir=Path(data), chip="mock", port=0)
        with running(settings) as local, chromium(executable) as browser:
            with Client(local.url, local.token) as client:
                client.train("digits", wait=True, dataset="digits", epochs=3)
            paints_ms = [_first_paint_ms(browser, local) for _ in range(_VISITS)]
            answers_ms = _live_ms(browser, local)
    machine = describe_machine()
    print(
        json.dumps(
            {
                "cpu": machine["cpu"],
                "cores": machine["cores"],
                "first_paint_ms": _summary(paints_ms),
                "live_answer_ms": _summary(answers_ms),
            }
        )
    )
    return 0


def _first_paint_ms(browser: Browser, local: Local) -> float:
    """From opening the link to the first content, in a browser without cache."""
    context = browser.new_context()
    page = context.new_page()
    page.goto(f"{local.url}?token={local.token}")
    page.wait_for_load_state("networkidle")
    painted: float = page.evaluate("performance.getEntriesByName('first-contentful-paint')[0].startTime")
    context.close()
    return painted


def _live_ms(browser: Browser, local: Local) -> list[float]:
    """The times of all answers while strokes are drawn."""
    context = browser.new_context(viewport={"width": 1200, "height": 900})
    page = context.new_page()
    page.goto(f"{local.url}?token={local.token}")
    page.wait_for_function("() => document.querySelector('#model').options.length > 1")
    page.evaluate("performance.setResourceTimingBufferSize(5000)")
    for stroke in range(_STROKES):
        _draw(page, stroke)
    page.wait_for_timeout(500)
    entries: list[dict[str, Any]] = page.evaluate(
        "performance.getEntriesByType('resource').filter((e) => e.name.endsWith('/classify')).map((e) => e.toJSON())"
    )
    context.close()
    return [entry["duration"] for entry in entries]


def _draw(page: Page, stroke: int) -> None:
    box = page.locator("#canvas").bounding_box()
    assert box is not None
    left = box["x"] + box["width"] * (0.2 + 0.6 * stroke / _STROKES)
    page.mouse.move(left, box["y"] + 0.1 * box["height"])
    page.mouse.down()
    for step in range(_STEPS):
        page.mouse.move(left, box["y"] + box["height"] * (0.1 + 0.8 * step / _STEPS))
        page.wait_for_timeout(_STEP_MS)
    page.mouse.up()


def _summary(values: list[float]) -> dict[str, float]:
    ordered = sorted(values)
    return {
        "count": len(ordered),
        "median": round(statistics.median(ordered), 1),
        "p95": round(ordered[int(0.95 * (len(ordered) - 1))], 1),
        "longest": round(ordered[-1], 1),
    }


if __name__ == "__main__":
    sys.exit(main())
