"""The real letter centre, started and stopped by an admin on the page; others see no form."""

import re
from collections.abc import Iterator
from typing import Final

import pytest
from playwright.sync_api import Browser, expect

from deploy.local import Local, running
from hxserve import Client
from services.settings import load_settings
from tests.browser.conftest import TRAINING, pages_of

pytestmark = [pytest.mark.long, pytest.mark.timeout(600)]

PATIENCE_MS: Final = 200_000
"""A run draws some hundred letters before its belt moves, which takes long beside other work."""


@pytest.fixture(scope="module")
def centre(browser: Browser, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Local]:
    """A service with a model, and a process that waits for orders of a letter centre."""
    del browser  # without one there is nothing to start
    settings = load_settings(data_dir=tmp_path_factory.mktemp("centre"), chip="mock", port=0)
    with running(settings, letters=True) as local, Client(local.url, local.token) as client:
        client.train("digits", wait=True, **TRAINING)
        yield local


def test_an_admin_starts_the_letter_centre_sees_letters_counted_and_stops_it(
    browser: Browser, centre: Local
) -> None:
    with pages_of(centre, browser) as open_page:
        page = open_page("/letters")
        page.get_by_label("Model").select_option("digits")
        page.get_by_label("Letters", exact=True).fill("100")
        page.get_by_label("Machines").fill("1")
        page.get_by_role("button", name="Start the belt").click()
        expect(page.locator("#order-state")).to_contain_text("The letter centre runs", timeout=PATIENCE_MS)
        expect(page.get_by_role("button", name="Start the belt")).to_be_disabled()
        expect(page.locator(".centre")).to_contain_text(re.compile(r"[1-9]\d* of 100"), timeout=PATIENCE_MS)
        expect(page.locator(".letter").first).to_contain_text("written")

        page.get_by_role("button", name="Stop").click()

        expect(page.locator("#order-state")).to_have_text("The belt was stopped.", timeout=PATIENCE_MS)
        expect(page.get_by_role("button", name="Start the belt")).to_be_enabled()


def test_an_error_of_the_run_is_shown_in_the_readers_language(browser: Browser, centre: Local) -> None:
    with pages_of(centre, browser) as open_page:
        page = open_page("/letters", locale="de", viewport={"width": 360, "height": 740}, color_scheme="dark")
        expect(page.locator("#order")).to_be_visible()

        page.evaluate(
            """() => fetch("/v1/letters/order", { method: "POST", headers: { "Content-Type": "application/json" },
                 body: JSON.stringify({ model: "nothing" }) })"""
        )

        expect(page.locator("#order-state")).to_contain_text("mit einem Fehler", timeout=PATIENCE_MS)
        expect(page.locator("#order-problem")).to_contain_text("there is no model 'nothing'")
        assert page.evaluate("document.documentElement.scrollWidth") <= 360


def test_other_users_see_the_envelope_and_no_form(browser: Browser, centre: Local) -> None:
    with Client(centre.url, centre.token) as client:
        token = client.users.add("visitor")["token"]
    with pages_of(centre, browser) as open_page:
        page = open_page("/letters", token=token)

        expect(page.get_by_role("button", name="Post it")).to_be_visible()
        expect(page.locator("#order")).to_have_count(0)
