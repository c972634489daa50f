"""What every page holds to: languages, colours, narrow screens, and readers who do not see it."""

import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cache
from typing import Any, Final

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, Page, expect

from api.texts import LANGUAGES, catalogue
from deploy.local import Local
from hxserve.jobs import Job
from tests.browser.conftest import GOOD_SHIFT, OpenPage, layout_shift, pages_of

pytestmark = [pytest.mark.long, pytest.mark.timeout(400)]  # the first test of a language visits all pages

PATHS = [
    *("/", "/corrections", "/teach", "/train", "/models", "/datasets", "/jobs", "/chip", "/letters"),
    *("/letters/desk", "/me", "/admin", "/classes", "/challenges"),
]
SERIOUS = {"serious", "critical"}
WIDTHS: Final = (320, 360)
HEAVIEST: Final = 250_000
"""Bytes of a page, before compression."""
SETTLED_MS: Final = 2500
"""What scripts bring to a page is there by then."""


@dataclass(slots=True)
class Visit:
    """What was found on a page that was opened once, settled, and looked at in several ways.

    Attributes:
        url: its address.
        text: all that is to be read.
        shift: Web Vitals' cumulative layout shift.
        axe: the accessibility report, by way.
        weight: bytes of the document and of what it loads from `/static`, before compression.
        widths: of the content, and the right ends of the links in the head, in pixels, by the width of the window.
    """

    url: str
    text: str
    shift: float
    weight: int
    axe: dict[str, Mapping[str, Any]] = field(default_factory=dict)
    widths: dict[int, tuple[int, list[float]]] = field(default_factory=dict)


Look = Callable[[Page, Visit], None]
Visits = Callable[[str], list[Visit]]


@pytest.fixture(scope="module")
def visits(local: Local, browser: Browser, trained: Job) -> Visits:
    """The visits to all pages in a language, made once: in English in both colours, in German on a telephone."""
    looks: Mapping[str, Look] = {"en": _look_in_both_colours, "de": _look_on_a_telephone}
    return cache(lambda language: _visit_all(local, browser, trained, language, looks[language]))


def _visit_all(local: Local, browser: Browser, trained: Job, language: str, look: Look) -> list[Visit]:
    with pages_of(local, browser) as open_page:
        pages = [open_page(path, locale=language) for path in [*PATHS, f"/jobs/{trained.id}"]]
        pages.append(open_page("/login", token=None, locale=language))
        pages[-1].wait_for_timeout(SETTLED_MS)
        visits = []
        for page in pages:
            visits.append(
                Visit(page.url, page.locator("body").inner_text(), layout_shift(page), _weight(page))
            )
            look(page, visits[-1])
            page.close()
        return visits


def _weight(page: Page) -> int:
    weight: int = page.evaluate(
        """() => performance.getEntries()
          .filter(({ entryType, name }) => entryType === "navigation"
            || entryType === "resource" && new URL(name).pathname.startsWith("/static/"))
          .reduce((sum, { decodedBodySize }) => sum + decodedBodySize, 0)"""
    )
    return weight


def _look_in_both_colours(page: Page, visit: Visit) -> None:
    visit.axe["light"] = Axe().run(page).response
    page.emulate_media(color_scheme="dark")
    visit.axe["dark"] = Axe().run(page).response


def _look_on_a_telephone(page: Page, visit: Visit) -> None:
    for width in WIDTHS:
        page.set_viewport_size({"width": width, "height": 740})
        visit.widths[width] = (
            page.evaluate("document.documentElement.scrollWidth"),
            page.evaluate(
                "[...document.querySelectorAll('.top a')].map((a) => a.getBoundingClientRect().right)"
            ),
        )
    visit.axe["narrow"] = Axe().run(page).response


@pytest.mark.parametrize(("language", "way"), [("en", "light"), ("en", "dark"), ("de", "narrow")])
def test_no_page_has_a_serious_barrier(visits: Visits, language: str, way: str) -> None:
    for visit in visits(language):
        found = visit.axe[way]
        serious = [
            (violation["id"], [node["html"] for node in violation["nodes"]])
            for violation in found["violations"]
            if violation["impact"] in SERIOUS
        ]
        assert len(found["passes"]) > 10, "so few rules were tried that nothing is known"
        assert serious == [], f"{visit.url}: {json.dumps(serious, indent=1)}"


@pytest.mark.parametrize("width", WIDTHS)
def test_no_page_is_wider_than_a_telephone(visits: Visits, width: int) -> None:
    """Also at 400 % zoom, where a screen of 1280 points is 320 wide."""
    for visit in visits("de"):
        content, ends = visit.widths[width]

        assert content <= width, visit.url
        assert max(ends, default=0) <= width, f"{visit.url}: a link in the head is cut off"


def test_no_page_is_heavier_than_a_quarter_of_a_megabyte(visits: Visits) -> None:
    for visit in visits("en"):
        assert 10_000 < visit.weight <= HEAVIEST, visit.url


def test_what_scripts_bring_moves_nothing(visits: Visits) -> None:
    for visit in visits("en"):
        assert visit.shift < GOOD_SHIFT, visit.url


@pytest.mark.parametrize("language", LANGUAGES)
def test_no_text_is_missing_in_any_language(visits: Visits, language: str) -> None:
    sections = "|".join(sorted({name.partition(".")[0] for name in catalogue()}))
    for visit in visits(language):
        assert re.findall(rf"\b(?:{sections})\.[a-z]\w+", visit.text) == [], visit.url


def test_what_is_chosen_is_seen_in_a_theme_of_high_contrast(open_page: OpenPage) -> None:
    page = open_page(forced_colors="active")

    for chosen, other in (
        (".switch a[aria-current]", ".switch a:not([aria-current])"),
        ("#ink input:checked + span", "#ink input:not(:checked) + span"),
    ):
        colours = [
            page.locator(which).first.evaluate("(element) => getComputedStyle(element).backgroundColor")
            for which in (chosen, other)
        ]
        assert colours[0] != colours[1], chosen


def test_no_motion_is_shown_to_who_wants_none(open_page: OpenPage) -> None:
    page = open_page(reduced_motion="reduce")
    page.evaluate(
        "document.querySelector('#main').insertAdjacentHTML('beforeend', '<p class=\"letter\">a letter</p>')"
    )

    assert page.locator(".letter").evaluate("(element) => getComputedStyle(element).animationName") == "none"


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

    light.evaluate("document.title = 'not left'")
    with light.expect_response("**/?theme=dark"):
        light.get_by_role("link", name="Dark").click()
    expect(light.locator("html")).to_have_attribute("data-theme", "dark")

    assert of_light != of_dark
    assert _background(light) == of_dark
    assert light.title() == "not left", "the drawing would be lost"
    light.reload()
    expect(light.locator("html")).to_have_attribute("data-theme", "dark")


def test_a_change_of_language_keeps_what_the_address_says(open_page: OpenPage, trained: Job) -> None:
    page = open_page(f"/?model=digits@{trained.result['version']}")

    page.get_by_role("link", name="Deutsch").click()

    expect(page.get_by_role("heading", level=1)).to_contain_text("Zeichne eine Ziffer")
    expect(page.locator("#model")).to_have_value("digits@1")
