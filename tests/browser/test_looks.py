"""What every page holds to: languages, colours, narrow screens, and readers who do not see it."""

import json
import re

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Page, expect

from api.texts import LANGUAGES, catalogue
from hxserve.jobs import Job
from tests.browser.conftest import GOOD_SHIFT, OpenPage, layout_shift

PATHS = ["/", "/train", "/jobs", "/chip", "/letters"]
SERIOUS = {"serious", "critical"}


def _open_all(open_page: OpenPage, trained: Job, **options: object) -> list[Page]:
    return [open_page(path, **options) for path in [*PATHS, f"/jobs/{trained.id}"]]


@pytest.mark.parametrize(
    "options",
    [
        {"color_scheme": "light"},
        {"color_scheme": "dark"},
        {"viewport": {"width": 360, "height": 740}, "locale": "de"},
    ],
    ids=["light", "dark", "narrow"],
)
def test_no_page_has_a_serious_barrier(open_page: OpenPage, trained: Job, options: dict[str, object]) -> None:
    for page in [*_open_all(open_page, trained, **options), open_page("/login", token=None, **options)]:
        page.wait_for_timeout(1500)
        found = Axe().run(page).response

        serious = [
            (violation["id"], [node["html"] for node in violation["nodes"]])
            for violation in found["violations"]
            if violation["impact"] in SERIOUS
        ]
        assert len(found["passes"]) > 10, "so few rules were tried that nothing is known"
        assert serious == [], f"{page.url}: {json.dumps(serious, indent=1)}"


@pytest.mark.parametrize("width", [360, 320])
def test_no_page_is_wider_than_a_telephone(open_page: OpenPage, trained: Job, width: int) -> None:
    """Also at 400 % zoom, where a screen of 1280 points is 320 wide."""
    for page in _open_all(open_page, trained, viewport={"width": width, "height": 740}, locale="de"):
        page.wait_for_timeout(1000)

        assert page.evaluate("document.documentElement.scrollWidth") <= width, page.url
        ends = page.evaluate(
            "[...document.querySelectorAll('.top a')].map((a) => a.getBoundingClientRect().right)"
        )
        assert max(ends) <= width, f"{page.url}: a link in the head is cut off"


def test_what_scripts_bring_moves_nothing(open_page: OpenPage, trained: Job) -> None:
    for page in _open_all(open_page, trained):
        page.wait_for_timeout(2500)

        assert layout_shift(page) < GOOD_SHIFT, page.url


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
    page = open_page(f"/?model=digits@{(trained.result or {})['version']}")

    page.get_by_role("link", name="Deutsch").click()

    expect(page.get_by_role("heading", level=1)).to_contain_text("Zeichne eine Ziffer")
    expect(page.locator("#model")).to_have_value("digits@1")


def test_no_text_is_missing_in_any_language(open_page: OpenPage, trained: Job) -> None:
    sections = "|".join(sorted({name.partition(".")[0] for name in catalogue()}))
    for language in LANGUAGES:
        for page in _open_all(open_page, trained, locale=language):
            page.wait_for_timeout(1000)

            shown = page.locator("body").inner_text()
            assert re.findall(rf"\b(?:{sections})\.[a-z]\w+", shown) == [], page.url
