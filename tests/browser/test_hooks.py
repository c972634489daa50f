"""Webhooks on the page of the account."""

import re
from collections.abc import Iterator

import pytest
from playwright.sync_api import expect

from hxserve import Client
from hxserve.webhooks import verify
from tests.browser.conftest import OpenPage
from tests.services.webhooks.receiver import Receiver, open_receiver
from tests.system.conftest import wait_until

pytestmark = pytest.mark.long


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with open_receiver() as receiver:
        yield receiver


def test_a_hook_is_added_tested_sent_again_and_deleted(
    open_page: OpenPage, client: Client, receiver: Receiver
) -> None:
    page = open_page("/me", token=client.users.add("hook-owner")["token"])
    page.get_by_label("Address").fill(receiver.url)
    page.get_by_role("button", name="Add").click()
    secret = page.get_by_label("The secret that signs its messages")
    expect(secret).to_have_value(re.compile("whsec_.+"))

    page.get_by_role("button", name="Send a test").click()
    deliveries = page.locator("#deliveries li")
    expect(deliveries).to_contain_text("delivered", timeout=20_000)
    [received] = receiver.received
    assert verify(secret.input_value(), received.headers, received.body)["type"] == "webhook.test"
    page.get_by_role("button", name="Send test-").click()
    expect(page.locator("#hooks-said")).to_have_text("It is on its way.")
    wait_until(lambda: len(receiver.received) == 2)
    assert len({each.headers["webhook-id"] for each in receiver.received}) == 1

    page.get_by_role("button", name="Switch off").click()
    expect(page.locator("#hooks li")).to_contain_text("off: switched off by its owner")
    page.get_by_role("button", name="Delete").click()
    page.get_by_role("dialog").get_by_role("button", name="Delete").click()
    expect(page.locator("#hooks li")).to_have_count(0)


def test_a_wrong_address_is_told_in_german(open_page: OpenPage, client: Client, tolerated: list[str]) -> None:
    tolerated.append("Failed to load resource: the server responded with a status of 422")
    page = open_page("/me", token=client.users.add("hook-german")["token"], locale="de")

    page.get_by_label("Adresse").fill("http://10.0.0.1/")
    page.get_by_role("button", name="Hinzufügen").click()

    expect(page.locator("#hooks-problem")).to_contain_text("Die Eingabe ist ungültig")
