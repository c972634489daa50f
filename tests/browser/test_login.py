"""Signing in and out."""

import pytest
from playwright.sync_api import expect

from deploy.local import Local
from tests.browser.conftest import OpenPage

pytestmark = pytest.mark.long


def test_the_link_with_a_token_opens_the_page_and_does_not_stay_in_the_address(open_page: OpenPage) -> None:
    page = open_page()

    expect(page.get_by_role("heading", level=1)).to_contain_text("Draw a digit")
    assert "token" not in page.url
    page.go_back()
    assert "token" not in page.url


def test_the_form_takes_a_token_and_goes_on_where_one_wanted_to(open_page: OpenPage, local: Local) -> None:
    page = open_page("/", token=None)

    page.get_by_label("Token").fill(local.token)
    page.get_by_role("button", name="Sign in").click()

    expect(page.get_by_role("heading", level=1)).to_contain_text("Draw a digit")


def test_a_wrong_token_is_refused_in_words(open_page: OpenPage, tolerated: list[str]) -> None:
    tolerated.append("Failed to load resource: the server responded with a status of 401")
    page = open_page("/login", token=None)

    page.get_by_label("Token").fill("not-a-token-of-anybody")
    page.get_by_role("button", name="Sign in").click()

    expect(page.get_by_role("alert")).to_contain_text("not known")


def test_signing_out_ends_the_session_everywhere(open_page: OpenPage) -> None:
    page = open_page()
    [session] = [cookie for cookie in page.context.cookies() if "session" in cookie.get("name", "")]

    page.get_by_role("button", name="Sign out").click()
    expect(page.get_by_label("Token")).to_be_visible()
    page.context.add_cookies([session])  # type: ignore[list-item] # a cookie that was read can be set
    page.goto("/")

    expect(page.get_by_label("Token")).to_be_visible()


def test_scripts_cannot_read_the_session(open_page: OpenPage) -> None:
    page = open_page()

    assert "session" not in page.evaluate("document.cookie")
