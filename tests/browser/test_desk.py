"""The coding desk: postcodes are keyed by keyboard, mouse and touch, passed on, and taken back."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final

import pytest
from playwright.sync_api import Page, expect

from deploy.local import Local
from hxserve import Client
from hxserve_letters.camera_pool import LetterSource
from hxserve_letters.coding import ENVELOPE_WIDTH_PX
from hxserve_letters.decisions import Decision, Reason
from hxserve_letters.directory import invent_directory
from hxserve_letters.reading import Reading
from hxserve_letters.redrawing import Redrawer
from tests.browser.conftest import OpenPage

pytestmark = pytest.mark.long

_TELEPHONE: Final[dict[str, Any]] = {
    "viewport": {"width": 360, "height": 740},
    "has_touch": True,
    "is_mobile": True,
}


@dataclass(frozen=True, slots=True)
class Coder:
    """A user with three letters on the desk, run-0 to run-2."""

    client: Client
    token: str

    def keyed(self) -> dict[str, str | None]:
        """Return what was keyed, by letter, once the last one can be taken back no longer."""
        return {letter["id"]: letter["postcode"] for letter in self.client.desk.collect()}


@pytest.fixture
def coder(local: Local, client: Client, request: pytest.FixtureRequest) -> Iterator[Coder]:
    """A user of this test's own."""
    name = request.node.originalname.removeprefix("test_").replace("_", "-")[:40]
    token = client.users.add(name)["token"]
    redrawer = Redrawer(LetterSource(3, invent_directory()))
    reading = Reading("69120", 0.5, 0.5, (0, 1, 2, 3, 4), "69120")
    with Client(local.url, token) as own:
        for number in range(3):
            decision = Decision(number, 0, "69120", reading, None, Reason.UNSURE, 0.1, 1)
            redrawn = redrawer.redraw(decision)
            digits = reading.digits[: len(redrawn.crops)]  # none where no postcode is found
            letter = {"number": number, "read": digits, "reason": str(decision.reason)}
            letter |= {"envelope": redrawn.envelope(ENVELOPE_WIDTH_PX), "crops": redrawn.crop_bytes()}
            own.desk.put(f"run-{number}", letter)
        yield Coder(own, token)


def _expect_letter(page: Page, waiting: int) -> None:
    """Wait for the next letter: its empty field, and so many on the desk."""
    expect(page.locator("#waiting")).to_have_text(str(waiting))
    expect(page.locator("#postcode")).to_have_value("")


def test_postcodes_are_keyed_with_the_keyboard_alone(open_page: OpenPage, coder: Coder) -> None:
    page = open_page("/letters/desk", token=coder.token)

    _expect_letter(page, 3)
    expect(page.locator("#crops canvas")).to_have_count(5)
    page.keyboard.type("6912")
    page.keyboard.press("Backspace")
    page.keyboard.type("20")
    _expect_letter(page, 2)
    page.keyboard.press("Escape")
    _expect_letter(page, 1)
    expect(page.locator("#last")).to_have_text("Passed on as unreadable.")
    page.keyboard.type("10115")

    expect(page.locator("#none")).to_be_visible()
    expect(page.locator("#count")).to_have_text("3")
    assert coder.keyed() == {"run-0": "69120", "run-1": None}


def test_the_last_letter_is_taken_back(open_page: OpenPage, coder: Coder) -> None:
    page = open_page("/letters/desk", token=coder.token)
    _expect_letter(page, 3)
    page.keyboard.type("69120")
    _expect_letter(page, 2)
    page.keyboard.type("11")

    page.keyboard.press("Control+z")
    _expect_letter(page, 3)
    expect(page.locator("#last")).to_have_text("Here is the last letter again.")
    page.keyboard.type("69121")
    expect(page.locator("#waiting")).to_have_text("2")
    page.keyboard.type("00000")
    expect(page.locator("#count")).to_have_text("2")

    assert coder.keyed()["run-0"] == "69121"


def test_postcodes_are_keyed_with_the_mouse(open_page: OpenPage, coder: Coder) -> None:
    page = open_page("/letters/desk", token=coder.token)
    _expect_letter(page, 3)
    for digit in "10":
        page.get_by_role("button", name=digit, exact=True).click()
    page.get_by_role("button", name="Erase a digit").click()
    for digit in "0115":
        page.get_by_role("button", name=digit, exact=True).click()
    _expect_letter(page, 2)
    page.get_by_role("button", name="Cannot be read").click()
    _expect_letter(page, 1)

    assert coder.keyed() == {"run-0": "10115"}


def test_postcodes_are_keyed_on_a_telephone(open_page: OpenPage, coder: Coder) -> None:
    page = open_page("/letters/desk", token=coder.token, **_TELEPHONE)
    _expect_letter(page, 3)
    button = page.get_by_role("button", name="Cannot be read")
    box = button.bounding_box()
    assert box is not None
    assert box["y"] + box["height"] <= 740, "everything is in reach without scrolling"

    for digit in "69120":
        page.get_by_role("button", name=digit, exact=True).tap()
    _expect_letter(page, 2)
    page.get_by_role("button", name="Take the last letter back").tap()
    _expect_letter(page, 3)
    for left in (2, 1):
        button.tap()
        _expect_letter(page, left)

    assert coder.keyed() == {"run-0": None}


def test_two_coders_have_different_letters(open_page: OpenPage, coder: Coder) -> None:
    pages = [open_page("/letters/desk", token=coder.token) for _ in range(2)]
    for page in pages:
        expect(page.locator("#letter")).to_be_visible()
    envelopes = {page.locator("#envelope").get_attribute("src") for page in pages}

    assert len(envelopes) == 2
