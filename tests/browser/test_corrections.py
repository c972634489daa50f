"""Correcting a reading on the drawing page, and closing corrections into a data set."""

import pytest
from playwright.sync_api import Page, expect

from hxserve import Client
from tests.browser.conftest import OpenPage
from tests.browser.test_draw import ONE, draw_by_touch

pytestmark = [pytest.mark.long, pytest.mark.usefixtures("trained")]


@pytest.fixture(autouse=True)
def no_corrections(client: Client) -> None:
    """The service has no open corrections."""
    for correction in list(client.corrections()):
        client.delete_correction(correction["id"])


def _open(client: Client) -> list[tuple[int | None, int]]:
    return [(correction["digit"], correction["read"]) for correction in client.corrections()]


def _show_a_seven(page: Page) -> None:
    with page.expect_response("**/classify?*"):
        page.locator("[data-digit='7']").click()
    expect(page.locator("#digit")).not_to_have_text("?")


def test_nothing_is_kept_before_the_reader_allows_it(open_page: OpenPage, client: Client) -> None:
    before = client.me()["quotas"]["kept_crops"]["used"]
    page = open_page()
    _show_a_seven(page)

    expect(page.locator("#right")).to_be_disabled()
    page.locator("#may-keep").check()
    expect(page.locator("#right")).to_be_enabled()

    assert _open(client) == []
    assert client.me()["quotas"]["kept_crops"]["used"] == before


def test_a_reading_is_corrected_and_the_last_word_counts(open_page: OpenPage, client: Client) -> None:
    page = open_page()
    page.locator("#live").click()  # the next reading is no other than the one that is corrected
    page.locator("[data-digit='7']").click()
    expect(page.locator("#sample")).not_to_be_empty()
    expect(page.locator("#digit")).not_to_have_text("?")
    page.locator("#may-keep").check()

    page.locator("[data-right='none']").click()
    expect(page.locator("#corrected")).to_have_text("Thank you. Kept as not a digit.")
    page.locator("[data-right='7']").click()
    expect(page.locator("#corrected")).to_have_text("Thank you. Kept as a 7.")

    [(digit, _)] = _open(client)
    assert digit == 7


def test_a_reading_is_confirmed_by_keyboard_on_a_telephone(open_page: OpenPage, client: Client) -> None:
    page = open_page(has_touch=True, viewport={"width": 360, "height": 740})
    draw_by_touch(page, ONE)
    expect(page.locator("#digit")).to_have_text("1")
    page.locator("#may-keep").focus()
    page.keyboard.press("Space")
    page.locator("#right").focus()

    page.keyboard.press("Enter")

    expect(page.locator("#corrected")).to_have_text("Thank you. Kept as a 1.")
    [(digit, _)] = _open(client)
    assert digit == 1


def test_corrections_are_shown_deleted_and_closed(open_page: OpenPage, client: Client) -> None:
    predictions = client.classify(bytes(784) + b"\xff" * 784, keep=True)
    client.correct(predictions[0], None)
    client.correct(predictions[1], predictions[1].digit)
    page = open_page("/corrections", locale="de")
    expect(page.locator("#open tbody tr")).to_have_count(2)
    expect(page.locator("#versions tbody tr")).not_to_have_count(0)

    page.locator("#open button").last.click()
    expect(page.locator("#open tbody tr")).to_have_count(1)
    page.locator("#dataset").fill("mine")
    page.locator("#dataset").press("Enter")

    expect(page.locator("#said")).to_contain_text("In mine@1 gelegt: 1.")
    expect(page.locator("#no-open")).to_be_visible()
    assert _open(client) == []
