"""Training at the page: from the form to a model that reads."""

import re

import pytest
from playwright.sync_api import Page, expect

from hxserve import Client
from hxserve.jobs import Job
from tests.browser.conftest import OpenPage

pytestmark = pytest.mark.long


def open_advanced(page: Page) -> None:
    page.get_by_role("radio", name="My own").check()
    expect(page.locator("#dataset")).to_be_visible()


def fill(page: Page, **values: str) -> None:
    open_advanced(page)
    page.locator("#dataset").select_option("digits")
    for name, value in values.items():
        page.locator(f"#{name}").fill(value)
    page.get_by_role("button", name="Start the training").click()
    page.wait_for_url("**/jobs/*")


@pytest.mark.usefixtures("trained")
def test_the_form_says_beforehand_how_long_it_would_take(open_page: OpenPage) -> None:
    page = open_page("/train")
    open_advanced(page)
    page.locator("#dataset").select_option("digits")
    page.locator("#epochs").fill("2")
    expect(page.locator("#estimate")).to_contain_text("of chip time, done in")
    short = page.locator("#estimate").inner_text()

    page.locator("#epochs").fill("200")

    expect(page.locator("#estimate")).not_to_have_text(short)
    expect(page.locator("#estimate")).to_contain_text("of chip time, done in")


@pytest.mark.usefixtures("trained")
def test_a_training_is_begun_by_keyboard_alone(open_page: OpenPage) -> None:
    page = open_page("/train")

    page.keyboard.press("Tab")
    expect(page.get_by_role("link", name="Skip to the content")).to_be_focused()
    page.keyboard.press("Enter")
    page.keyboard.press("Tab")
    expect(page.get_by_role("radio", name="A quick look")).to_be_focused()
    page.keyboard.press("ArrowLeft")
    expect(page.get_by_role("radio", name="My own")).to_be_checked()
    page.keyboard.press("Tab")
    expect(page.get_by_label("Name of the model")).to_be_focused()
    page.keyboard.type("with-keys")
    page.keyboard.press("Tab")
    expect(page.locator("#advanced summary")).to_be_focused()
    page.keyboard.press("Tab")
    page.keyboard.press("Tab")
    page.keyboard.type("1")
    page.keyboard.press("Enter")
    page.wait_for_url("**/jobs/*")

    expect(page.get_by_role("heading", level=1)).to_contain_text("with-keys")


def test_a_card_says_what_such_trainings_reached_here_and_twelve_digits_are_watched(
    open_page: OpenPage, client: Client
) -> None:
    client.train("quick-before", wait=True, recipe="strong", dataset="digits", epochs=1)
    page = open_page("/train", locale="de", viewport={"width": 360, "height": 740}, color_scheme="dark")
    card = page.locator(".kind", has_text="Ein kurzer Blick")
    expect(card.locator(".expected")).to_contain_text(
        re.compile(r"\d,\d\s%\srichtig bei digits im Modell des Chips")
    )
    expect(card.locator(".time")).to_contain_text("Fertig in")
    assert page.evaluate("document.documentElement.scrollWidth") <= 360

    page.locator("#model").fill("quick-now")
    page.get_by_role("button", name="Training starten").click()
    page.wait_for_url("**/jobs/*")
    expect(page.locator("#state")).to_contain_text("fertig", timeout=60_000)

    expect(page.locator("#watched li")).to_have_count(12)
    expect(page.locator("#watched-right")).to_contain_text("nach Epoche 1")
    expect(page.get_by_role("link", name="Damit zeichnen")).to_be_visible()
    assert client.job(page.url.rpartition("/")[2]).params["epochs"] == 1


def test_a_training_is_made_again_with_changes(open_page: OpenPage, client: Client) -> None:
    network = {"hidden": [20]}
    first = client.train(
        "again-and-again", recipe="notebook", dataset="digits", epochs=1, network=network, seed=3, wait=True
    )
    page = open_page(f"/jobs/{first.id}")

    page.get_by_role("link", name="Train again with changes").click()
    expect(page.get_by_role("radio", name="My own")).to_be_checked()
    expect(page.locator("#model")).to_have_value("again-and-again")
    expect(page.locator("#hidden")).to_have_value("20")
    page.locator("#seed").fill("4")
    page.get_by_role("button", name="Start the training").click()
    page.wait_for_url(re.compile(r"/jobs/(?!" + first.id + ")"))

    second = client.job(page.url.rpartition("/")[2])
    assert {**second.params, "seed": 3} == first.params
    assert second.params["seed"] == 4
    client.wait(second)


def test_losses_that_do_not_compare_are_said_to(open_page: OpenPage, client: Client, trained: Job) -> None:
    client.train("other-recipe", wait=True, recipe="notebook", dataset="digits", epochs=1)
    page = open_page(f"/jobs/{trained.id}")

    page.locator("#other").select_option("other-recipe@1")

    expect(page.locator("#compared-with")).to_contain_text("percentage points")
    expect(page.locator("#compared-with")).to_contain_text("scale the loss differently")


def test_a_recipes_network_is_trained_unless_neurons_are_given(open_page: OpenPage, client: Client) -> None:
    page = open_page("/train")
    open_advanced(page)
    hidden = page.locator("#hidden")
    expect(hidden).to_have_attribute("placeholder", "256, 256 (from the recipe)")

    page.locator("#recipe").select_option("conv")
    expect(hidden).to_have_attribute("placeholder", "convolutional network (from the recipe)")
    fill(page, model="convolutional", epochs="200")
    client.cancel(page.url.rpartition("/")[2])

    expect(page.locator("#facts")).to_contain_text("conv2d 16 → conv2d 32 → linear 64 → linear 10")


def test_the_checkpoint_can_be_downloaded(open_page: OpenPage, trained: Job) -> None:
    page = open_page(f"/jobs/{trained.id}")

    with page.expect_download() as download:
        page.get_by_role("link", name="Download the checkpoint").click()

    assert download.value.suggested_filename == "digits-1.safetensors"


def test_a_training_is_cancelled_at_the_page(open_page: OpenPage, client: Client) -> None:
    page = open_page("/train")

    fill(page, model="too-long", epochs="200")
    page.get_by_role("button", name="Cancel").click()

    expect(page.locator("#state")).to_contain_text("cancelled", timeout=20_000)
    expect(page.get_by_role("button", name="Cancel")).to_be_hidden()
    assert client.job(page.url.rpartition("/")[2]).state == "cancelled"


def test_what_the_service_refuses_is_said_beside_the_form(open_page: OpenPage, tolerated: list[str]) -> None:
    tolerated.append("Failed to load resource: the server responded with a status of 422")
    page = open_page("/train")
    open_advanced(page)

    page.locator("#hidden").fill("5000")
    page.get_by_role("button", name="Start the training").click()

    expect(page.get_by_role("alert")).to_contain_text("network.hidden")
    assert page.url.endswith("/train")
