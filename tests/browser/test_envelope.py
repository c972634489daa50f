"""The visitor's envelope: a postcode written with mouse or keyboard is read."""

import re
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from hxserve_letters.postcodes import TOWN_BY_REGION
from tests.browser.conftest import OpenPage

pytestmark = [pytest.mark.long, pytest.mark.usefixtures("trained")]


def _write_ones(page: Page, boxes: int) -> None:
    """Write a vertical stroke into each of the first boxes."""
    for place in range(boxes):
        box = page.locator(".box").nth(place)
        box.scroll_into_view_if_needed()
        frame = box.bounding_box()
        assert frame is not None
        x = frame["x"] + frame["width"] / 2
        page.mouse.move(x, frame["y"] + 0.15 * frame["height"])
        page.mouse.down()
        page.mouse.move(x, frame["y"] + 0.85 * frame["height"], steps=5)
        page.mouse.up()


def test_the_towns_are_those_of_the_letter_centre() -> None:
    script = Path("api/static/js/postcodes.js").read_text("utf-8")

    words = script.partition("`")[2].partition("`")[0].split()

    towns = [town.replace("_", " ") for town in words[1::2]]
    assert dict(zip(words[::2], towns, strict=True)) == TOWN_BY_REGION


def test_a_postcode_is_written_with_the_mouse_and_read(open_page: OpenPage) -> None:
    page = open_page("/letters")
    _write_ones(page, 4)
    page.get_by_role("button", name="Post it").click()
    expect(page.locator("#own-problem")).to_contain_text("box 5 is empty")

    page.locator(".box").last.focus()
    page.keyboard.press("Space")
    for _ in range(8):
        page.keyboard.press("ArrowDown")
    page.get_by_role("button", name="Post it").click()

    expect(page.locator("#fate")).to_contain_text(re.compile(r"\d{5}"))
    expect(page.locator("#own-problem")).to_be_hidden()
    expect(page.locator("#own-belt li")).to_have_count(1)
    page.set_viewport_size({"width": 360, "height": 740})
    assert page.evaluate("document.documentElement.scrollWidth") <= 360
