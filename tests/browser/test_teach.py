"""Teaching a handwriting: digits are written by mouse, touch and keyboard, learnt, and read again."""

import os
import re
import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, Final

import pytest
from playwright.sync_api import Page, expect

from deploy.local import Local
from hxserve import Client
from tests.browser.conftest import OpenPage
from tests.browser.test_draw import draw_by_mouse, draw_by_touch

pytestmark = [pytest.mark.long, pytest.mark.usefixtures("trained")]

Stroke = list[tuple[float, float]]

STROKES: Final[list[Stroke]] = [
    [(14, 5), (8, 9), (8, 18), (14, 22), (20, 18), (20, 9), (14, 5)],
    [(10, 9), (15, 5), (15, 23)],
    [(8, 9), (14, 5), (19, 9), (8, 22), (20, 22)],
    [(8, 6), (19, 6), (13, 12), (19, 17), (14, 22), (8, 20)],
    [(10, 5), (8, 15), (20, 15), (17, 10), (17, 23)],
    [(19, 5), (10, 5), (9, 12), (18, 14), (17, 22), (8, 21)],
    [(17, 5), (9, 13), (9, 21), (17, 22), (18, 15), (10, 15)],
    [(8, 6), (20, 6), (12, 23)],
    [(18, 8), (10, 6), (10, 11), (19, 17), (14, 23), (9, 18), (18, 10), (18, 8)],
    [(18, 12), (10, 12), (10, 6), (18, 6), (18, 12), (15, 23)],
]
"""How each digit is written, in points of the canvas."""
TELEPHONE: Final[dict[str, Any]] = {
    "viewport": {"width": 360, "height": 740},
    "has_touch": True,
    "is_mobile": True,
}
LESSON_MS: Final = 90_000
COUNTS: Final = re.compile(r"Before: \d+ of 10 of your digits\. After: \d+ of 10\.")

Draw = Callable[[Page, Stroke], None]


@pytest.fixture
def pupil(client: Client, request: pytest.FixtureRequest) -> str:
    """The token of a user of this test's own."""
    name = request.node.originalname.removeprefix("test_").replace("_", "-")[:40].rstrip("-")
    return str(client.users.add(name)["token"])


def _strokes(row: int) -> list[Stroke]:
    """The digits as they are written in a row, each row a little different."""
    return [[(x + row - 0.3 * y * row / 4, y) for x, y in stroke] for stroke in STROKES]


def _by_mouse(page: Page, stroke: Stroke) -> None:
    draw_by_mouse(page, [(x / 28, y / 28) for x, y in stroke])


def _by_touch(page: Page, stroke: Stroke) -> None:
    draw_by_touch(page, [(x / 28, y / 28) for x, y in stroke])


def write_all(page: Page, draw: Draw = _by_mouse, *, next_by: Callable[[Page], None] | None = None) -> None:
    """Write each digit twice, one box after the other."""
    _choose_twice(page)
    for row in range(2):
        for digit, stroke in enumerate(_strokes(row)):
            expect(page.locator("#prompt")).to_have_text(f"Write a {digit}")
            draw(page, stroke)
            if next_by:
                next_by(page)
            else:
                page.locator("#next").click()
    expect(page.locator("#written")).to_have_text("20 of 20 written")


def _choose_twice(page: Page) -> None:
    page.locator("#times label").first.click()
    expect(page.locator("#boxes button")).to_have_count(20)
    page.locator("#canvas").scroll_into_view_if_needed()
    page.locator("#canvas").focus()


def _expect_result(page: Page) -> None:
    expect(page.locator("#outcome")).to_have_text(COUNTS, timeout=LESSON_MS)
    expect(page.locator("#digits tbody tr")).to_have_count(10)
    expect(page.locator("#remembered")).to_contain_text("On the small set, which it learnt first")


def test_digits_written_with_the_mouse_are_learnt_and_drawn_with(
    open_page: OpenPage, pupil: str, local: Local
) -> None:
    page = open_page("/teach", token=pupil)
    write_all(page)

    page.get_by_role("button", name="Teach it").click()
    _expect_result(page)
    page.get_by_role("link", name="Draw with it").click()

    expect(page.locator("#model option:checked")).to_contain_text("my-handwriting 1")
    with Client(local.url, pupil) as client:
        manifest = client.model("my-handwriting", "1")
        stored = manifest["dataset"]["parts"]
    assert [part["name"].rpartition("~")[2] for part in stored] == ["digits", "my-handwriting"]
    assert manifest["recipe"]["name"] == "adapt"


def test_digits_are_written_on_a_telephone(open_page: OpenPage, pupil: str) -> None:
    page = open_page("/teach", token=pupil, **TELEPHONE)
    box = page.locator("#next").bounding_box()
    assert box is not None
    assert box["y"] + box["height"] <= 740, "canvas and button are in reach without scrolling"
    write_all(page, _by_touch, next_by=lambda page: page.locator("#next").tap())

    page.locator("#start").tap()

    _expect_result(page)
    assert page.evaluate("document.documentElement.scrollWidth") <= 360


def _draw_by_keyboard(page: Page, stroke: Stroke) -> None:
    """Draw a stroke along rows and columns; the pen starts in the middle of the canvas."""
    x, y, keys = 14, 14, []
    for number, place in enumerate(stroke):
        to_x, to_y = round(place[0]), round(place[1])
        keys += ["ArrowRight" if to_x > x else "ArrowLeft"] * abs(to_x - x)
        keys += ["ArrowDown" if to_y > y else "ArrowUp"] * abs(to_y - y)
        keys += [" "] * (number == 0)
        x, y = to_x, to_y
    for key in keys:
        page.keyboard.press(key)


def test_digits_are_written_with_the_keyboard_alone(open_page: OpenPage, pupil: str) -> None:
    page = open_page("/teach", token=pupil)

    write_all(page, _draw_by_keyboard, next_by=lambda page: page.keyboard.press("Enter"))
    expect(page.locator("#start")).to_be_focused()
    page.keyboard.press("Enter")

    _expect_result(page)
    expect(page.locator("#outcome")).to_be_focused()


def test_a_box_is_written_again_and_what_is_written_stays(open_page: OpenPage, pupil: str) -> None:
    page = open_page("/teach", token=pupil)
    _choose_twice(page)
    _by_mouse(page, STROKES[0])
    page.locator("#next").click()
    _by_mouse(page, [(14, 14), (14, 15)])
    expect(page.locator("#place")).to_contain_text("too small")

    page.get_by_role("button", name="Teach it").click()
    expect(page.locator("#not-yet")).to_contain_text("19")
    expect(page.get_by_role("button", name="1, row 1: too small to be read")).to_have_attribute(
        "aria-current", "true"
    )
    page.keyboard.press("Control+z")
    expect(page.get_by_role("button", name="1, row 1: empty")).to_be_visible()
    page.get_by_role("button", name="0, row 1: written").click()
    page.keyboard.press("Delete")
    _by_mouse(page, STROKES[0])
    expect(page.locator("#written")).to_have_text("1 of 20 written")

    page.goto("/chip")
    page.goto("/teach")
    expect(page.locator("#written")).to_have_text("1 of 20 written")
    expect(page.locator("#boxes button")).to_have_count(20)
    shown = "canvas.getContext('2d').getImageData(0, 0, 28, 28).data.some((value, i) => i % 4 === 0 && value)"
    assert page.locator("#boxes canvas").first.evaluate(f"(canvas) => {shown}"), "the crop is still shown"


@contextmanager
def _training_held(page: Page, local: Local) -> Iterator[None]:
    """Start the lesson, and hold its training from its submission to the end of the block."""
    worker = local.processes["worker"].pid
    with page.expect_response(
        lambda answer: answer.url.endswith("/v1/jobs") and answer.request.method == "POST"
    ):
        page.get_by_role("button", name="Teach it").click()
    os.kill(worker, signal.SIGSTOP)
    try:
        yield
    finally:
        os.kill(worker, signal.SIGCONT)


def test_a_lesson_goes_on_after_a_reload(open_page: OpenPage, pupil: str, local: Local) -> None:
    page = open_page("/teach", token=pupil)
    write_all(page)

    with _training_held(page, local):
        page.reload()
        expect(page.locator("#step")).to_contain_text("Learning your digits")
        expect(page.locator("#known")).to_contain_text("Before:")

    _expect_result(page)
    with Client(local.url, pupil) as client:
        assert len([*client.jobs(kind="training")]) == 1


def test_a_lesson_is_stopped_and_tried_again(open_page: OpenPage, pupil: str, local: Local) -> None:
    page = open_page("/teach", token=pupil)
    write_all(page)

    with _training_held(page, local):
        page.get_by_role("button", name="Stop learning").click()
        # A training that had not begun when the worker was held has ended already.
        asked = page.get_by_role("button", name="Stop learning", disabled=True)
        expect(asked.or_(page.locator("#trouble")).filter(visible=True)).to_be_visible()
    expect(page.locator("#trouble")).to_contain_text("You stopped it.", timeout=30_000)
    page.get_by_role("button", name="Try again").click()

    _expect_result(page)


def test_a_lost_connection_is_waited_for(
    open_page: OpenPage, pupil: str, local: Local, tolerated: list[str]
) -> None:
    tolerated.append("Failed to load resource: net::ERR_")
    page = open_page("/teach", token=pupil)
    write_all(page)

    with _training_held(page, local):
        os.kill(local.processes["api"].pid, signal.SIGKILL)
        expect(page.locator("#connection")).to_contain_text("does not answer", timeout=15_000)
        local.processes["api"].revive()

    _expect_result(page)


def test_digits_that_are_all_the_same_picture_teach_nothing(
    open_page: OpenPage, pupil: str, tolerated: list[str]
) -> None:
    tolerated.append("Failed to load resource: the server responded with a status of 422")
    page = open_page("/teach", token=pupil)
    _choose_twice(page)
    for _ in range(20):
        _by_mouse(page, STROKES[1])
        page.locator("#next").click()

    page.get_by_role("button", name="Teach it").click()

    expect(page.locator("#trouble")).to_be_visible(timeout=30_000)
    page.get_by_role("button", name="Back to your digits").click()
    expect(page.locator("#written")).to_have_text("20 of 20 written")


def test_the_page_for_drawing_leads_to_teaching_with_the_model_chosen(open_page: OpenPage) -> None:
    page = open_page("/")
    page.locator("#model").select_option("digits@1")
    page.get_by_role("link", name="It cannot read my handwriting: teach it").click()

    expect(page.get_by_role("heading", level=1)).to_have_text("Teach it your handwriting")
    expect(page.locator("#model")).to_have_value("digits@1")
