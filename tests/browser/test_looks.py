"""What every page holds to: languages, colours, narrow screens, and readers who do not see it."""

import json
import re

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Page, expect

from api.texts import LANGUAGES, catalogue
from client.jobs import Job
from tests.browser.conftest import OpenPage

PATHS = ["/", "/train", "/jobs", "/chip", "/letters"]
SERIOUS = {"serious", "critical"}


def _open_all(open_page: OpenPage, trained: Job, **options: object) -> list[Page]:
    return [open_page(path, **options) for path in [*PATHS, f"/jobs/{trained.id}"]]


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_no_page_has_a_serious_barrier(open_page: OpenPage, trained: Job, scheme: str) -> None:
    for page in [*_open_all(open_page, trained, color_scheme=scheme), open_page("/login", token=None)]:
        page.wait_for_timeout(1500)
        found = Axe().run(page).response

        serious = [
            (violation["id"], [node["html"] for node in violation["nodes"]])
            for violation in found["violations"]
            if violation["impact"] in SERIOUS
        ]
        assert len(found["passes"]) > 10, "so few rules were tried that nothing is known"
        assert serious == [], f"{page.url}: {json.dumps(serious, indent=1)}"


def test_no_page_is_wider_than_a_telephone(open_page: OpenPage, trained: Job) -> None:
    for page in _open_all(open_page, trained, viewport={"width": 360, "height": 740}):
        page.wait_for_timeout(1000)

        assert page.evaluate("document.documentElement.scrollWidth") <= 360, page.url


def test_pages_speak_german_and_can_be_told_to_speak_english(open_page: OpenPage) -> None:
    page = open_page(locale="de-DE")
    expect(page.get_by_role("heading", level=1)).to_contain_text("Zeichne eine Ziffer")

    page.get_by_role("link", name="English").click()

    expect(page.get_by_role("heading", level=1)).to_contain_text("Draw a digit")
    page.get_by_role("link", name="Chip").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("The chip")


def _background(page: Page) -> str:
    colour: str = page.evaluate("getComputedStyle(document.documentElement).backgroundColor")
    return colour


def test_the_colours_follow_the_system_or_the_readers_choice(open_page: OpenPage) -> None:
    light, dark = open_page(color_scheme="light"), open_page(color_scheme="dark")
    of_light, of_dark = _background(light), _background(dark)

    light.get_by_role("link", name="Dark").click()
    expect(light.locator("html")).to_have_attribute("data-theme", "dark")

    assert of_light != of_dark
    assert _background(light) == of_dark


def test_no_text_is_missing_in_any_language(open_page: OpenPage, trained: Job) -> None:
    sections = "|".join(sorted({name.partition(".")[0] for name in catalogue()}))
    for language in LANGUAGES:
        for page in _open_all(open_page, trained, locale=language):
            page.wait_for_timeout(1000)

            shown = page.locator("body").inner_text()
            assert re.findall(rf"\b(?:{sections})\.[a-z]\w+", shown) == [], page.url
