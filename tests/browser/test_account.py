"""One's own account at the page, the way there, and a second device."""

import re
from typing import Any, Final

import pytest
from playwright.sync_api import expect

from deploy.local import Local
from hxserve import Client
from tests.browser.conftest import OpenPage

pytestmark = pytest.mark.long

TELEPHONE: Final[dict[str, Any]] = {
    "viewport": {"width": 360, "height": 740},
    "has_touch": True,
    "is_mobile": True,
}


def test_quotas_are_bars_and_a_token_is_made_and_revoked(
    open_page: OpenPage, local: Local, client: Client
) -> None:
    token = client.users.add("account-owner", quotas={"max_queued_jobs": 4})["token"]
    page = open_page("/me", token=token)
    expect(page.get_by_role("meter", name="Unfinished jobs: 0 of 4")).to_be_visible()

    page.get_by_label("Valid for").select_option(label="a day")
    page.get_by_role("button", name="Make a token").click()
    expect(page.get_by_label("Your new token")).to_have_value(re.compile("hxserve_.+"))
    secret = page.get_by_label("Your new token").input_value()
    with Client(local.url, secret) as other:
        assert other.me()["name"] == "account-owner"
    own = page.get_by_role("listitem").filter(has_not_text="this browser")
    own.get_by_role("button", name="Revoke").click()
    page.get_by_role("dialog").get_by_role("button", name="Revoke").click()

    expect(page.locator("#said")).to_contain_text("is revoked")
    expect(page.locator("#tokens li")).to_have_count(1)


def test_a_telephone_signs_in_by_the_code_once(
    open_page: OpenPage, client: Client, local: Local, tolerated: list[str]
) -> None:
    tolerated.append("Failed to load resource: the server responded with a status of 401")
    page = open_page("/me", token=client.users.add("account-phone")["token"])
    with page.expect_response("**/v1/me/sign-in-links") as made:
        page.get_by_role("button", name="Show the code").click()
    page.wait_for_function("document.querySelector('#qr').naturalWidth > 0")
    link = made.value.json()["link"]

    telephone = open_page("/healthz", token=None, locale="de", **TELEPHONE)
    telephone.goto(link)
    assert "#" not in telephone.url
    telephone.get_by_role("button", name="Anmelden").tap()
    telephone.wait_for_url(local.url + "/")
    telephone.locator("#menu summary").tap()
    telephone.get_by_role("link", name="Mein Konto").tap()
    expect(telephone.get_by_role("heading", level=1)).to_have_text("Konto von account-phone")

    again = open_page("/healthz", token=None)
    again.goto(link)
    again.get_by_role("button", name="Sign in").click()
    expect(again.get_by_role("alert")).to_contain_text("was used")


def test_every_page_is_reached_by_the_keyboard_and_escape_closes_the_menu(open_page: OpenPage) -> None:
    page = open_page("/chip")
    summary = page.locator("#menu summary")

    summary.focus()
    page.keyboard.press("Enter")
    links = page.locator(".top nav a:visible")
    found = {link.get_attribute("href") for link in links.all()}
    page.keyboard.press("Escape")

    expect(summary).to_be_focused()
    expect(page.locator("#menu a").first).to_be_hidden()
    assert found >= {
        *("/", "/train", "/models", "/jobs", "/chip", "/letters"),
        *("/datasets", "/teach", "/corrections", "/me", "/admin"),
    }


def test_a_change_of_language_keeps_what_is_filled_in(open_page: OpenPage) -> None:
    page = open_page("/train")
    page.locator("#model").fill("kept-name")

    page.get_by_role("link", name="Deutsch").click()

    expect(page.get_by_role("heading", level=1)).to_contain_text("trainieren")
    expect(page.locator("#model")).to_have_value("kept-name")
