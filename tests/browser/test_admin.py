"""Administration at the page: users, limits, tokens, and a chip's maintenance that everybody sees."""

import re
from collections.abc import Iterator

import pytest
from playwright.sync_api import expect

from deploy.local import Local
from hxserve import Client
from tests.browser.conftest import OpenPage

pytestmark = pytest.mark.long


@pytest.fixture
def resumed(client: Client) -> Iterator[None]:
    """Maintenance ends with the test: others need the chip."""
    yield
    client.resume_chip()


def test_a_user_is_added_limited_and_disabled(open_page: OpenPage, local: Local, client: Client) -> None:
    page = open_page("/admin")
    page.get_by_role("button", name="Add a user").click()
    page.get_by_role("dialog").get_by_label("Name").fill("admin-page-user")
    page.keyboard.press("Enter")
    expect(page.locator("#secret")).to_have_value(re.compile("hxserve_.+"))
    with Client(local.url, page.locator("#secret").input_value()) as own:
        assert own.me()["role"] == "user"

    page.get_by_role("button", name="Limits: admin-page-user").click()
    page.get_by_label("Unfinished jobs").fill("7")
    page.get_by_role("dialog").get_by_role("button", name="Save").click()
    expect(page.locator("#said")).to_have_text("admin-page-user is changed.")
    page.get_by_role("button", name="Disable: admin-page-user").click()
    page.get_by_role("dialog").get_by_role("button", name="Disable").click()
    expect(page.get_by_role("button", name="Enable: admin-page-user")).to_be_visible()

    [account] = [user for user in client.users.list() if user["name"] == "admin-page-user"]
    assert (account["disabled"], account["quotas"]["max_queued_jobs"]) == (True, 7)


@pytest.mark.usefixtures("resumed")
def test_maintenance_is_begun_with_a_message_that_a_user_sees_on_a_telephone(
    open_page: OpenPage, client: Client
) -> None:
    token = client.users.add("admin-page-visitor")["token"]
    narrow = {"width": 360, "height": 740}
    page = open_page("/admin", locale="de", viewport=narrow, color_scheme="dark")

    page.get_by_role("button", name="Wartung beginnen").click()
    page.get_by_label("Nachricht für alle").fill("Neue Kabel")
    page.get_by_role("dialog").get_by_role("button", name="Wartung beginnen").click()
    expect(page.locator("#said")).to_contain_text("wird jetzt gewartet")
    assert page.evaluate("document.documentElement.scrollWidth") <= 360
    visitor = open_page("/letters", token=token, locale="de", viewport=narrow)
    expect(visitor.locator(".banner.note")).to_contain_text("Neue Kabel")
    page.get_by_role("button", name="Wartung beenden").click()
    expect(page.locator("#said")).to_contain_text("nimmt wieder lange Aufträge an")
    visitor.reload()

    expect(visitor.locator(".banner.note")).to_have_count(0)


@pytest.mark.usefixtures("trained")
def test_the_staircase_of_a_chip_is_measured_by_one_button(open_page: OpenPage) -> None:
    page = open_page("/admin")

    page.get_by_role("button", name="Measure the staircase: ").click()
    expect(page.locator("#said")).to_contain_text("is measured")

    expect(page.locator("#chips .chip-stairs a")).to_contain_text("The staircase of digits@", timeout=60_000)
    values = page.locator("#chips .stairs .value")
    expect(values).to_have_text([re.compile(r"\d\.\d%")] * 3, timeout=60_000)
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
