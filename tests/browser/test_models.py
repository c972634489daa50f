"""Models at the page: what was measured where, evaluating, comparing, promoting, sharing, deleting."""

from collections.abc import Iterator
from dataclasses import dataclass

import pytest
from playwright.sync_api import Page, expect

from deploy.local import Local
from hxserve import Client
from tests.browser.conftest import OpenPage

pytestmark = pytest.mark.long


@dataclass(frozen=True, slots=True)
class Owner:
    """A user with two versions of a model."""

    client: Client
    token: str


@pytest.fixture(scope="module")
def owner(local: Local) -> Iterator[Owner]:
    with Client(local.url, local.token) as admin:
        token = admin.users.add("models-owner")["token"]
    with Client(local.url, token) as client:
        for recipe in ("notebook", "strong"):
            client.train("cards", wait=True, recipe=recipe, dataset="digits", epochs=1)
        yield Owner(client, token)


def _card(page: Page) -> str:
    card = page.get_by_role("article", name="cards", exact=True)
    expect(card.get_by_text("Version 2").first).to_be_visible()
    return "article[aria-label='cards']"


def test_a_better_version_is_compared_and_promoted(open_page: OpenPage, owner: Owner) -> None:
    owner.client.set_alias("cards", "production", "1")
    page = open_page("/models", token=owner.token)
    card = page.locator(_card(page))
    expect(card.locator(".accuracy").first).to_contain_text("in the model of the chip (mock), digits")

    card.get_by_text("production: history and changes").click()
    card.get_by_role("button", name="Promote").click()
    page.get_by_role("dialog").get_by_role("button", name="To the comparison").click()
    page.get_by_label("Data set").fill("digits")
    page.get_by_role("dialog").get_by_role("button", name="Start").click()
    page.wait_for_url("**/jobs/*")
    expect(page.locator("#state")).to_contain_text("succeeded", timeout=60_000)
    page.goto("/models")
    card = page.locator(_card(page))
    card.get_by_text("production: history and changes").click()
    card.get_by_role("button", name="Promote").click()
    page.get_by_label("Why").fill("reads more")
    page.get_by_role("dialog").get_by_role("button", name="Promote").click()

    expect(page.locator("#said")).to_have_text("production of cards points to version 2 now.")
    assert owner.client.history("cards", "production")["changes"][0]["why"] == "reads more"


def test_a_version_is_evaluated_by_keyboard_and_the_card_says_where(
    open_page: OpenPage, owner: Owner
) -> None:
    page = open_page("/models", token=owner.token)
    card = page.locator(_card(page))

    card.get_by_role("button", name="Evaluate").first.focus()
    page.keyboard.press("Enter")
    page.get_by_label("Where").select_option("quantised")
    page.get_by_label("Data set").fill("digits")
    page.keyboard.press("Enter")
    page.wait_for_url("**/jobs/*")
    expect(page.locator("#state")).to_contain_text("succeeded", timeout=60_000)
    page.goto("/models")

    expect(page.locator(_card(page)).locator(".accuracy").first).to_contain_text(
        "evaluated: in the mock without noise, digits"
    )


def test_models_are_shared_and_deleted_on_a_telephone_in_german(open_page: OpenPage, owner: Owner) -> None:
    owner.client.train("fort", wait=True, recipe="strong", dataset="digits", epochs=1)
    page = open_page(
        "/models", token=owner.token, locale="de", viewport={"width": 360, "height": 740}, color_scheme="dark"
    )
    card = page.get_by_role("article", name="fort")

    card.get_by_role("button", name="Für alle freigeben").click()
    expect(page.locator("#said")).to_have_text("fort dürfen jetzt alle benutzen.")
    assert page.evaluate("document.documentElement.scrollWidth") <= 360
    card.get_by_role("button", name="Das Modell fort löschen").click()
    page.get_by_role("dialog").get_by_role("button", name="Behalten").click()
    expect(card).to_be_visible()
    card.get_by_role("button", name="Das Modell fort löschen").click()
    page.get_by_role("dialog").get_by_role("button", name="Löschen").click()

    expect(page.locator("#said")).to_have_text("fort ist gelöscht.")
    assert "models-owner~fort" not in [model["name"] for model in owner.client.models()]
