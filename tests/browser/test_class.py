"""A class in real browsers: a teacher, five telephones at once, one of which loses its session; a challenge each."""

import re
from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Any

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Page, expect

from hxserve import Client
from hxserve.jobs import Job
from tests.browser.conftest import OpenPage
from tests.browser.test_draw import ONE, draw_by_touch
from tests.browser.test_looks import SERIOUS

pytestmark = [pytest.mark.long, pytest.mark.usefixtures("trained")]

PHONE: dict[str, Any] = {"has_touch": True, "viewport": {"width": 360, "height": 740}}
MODEL = "digits@1"
"""That of the fixture `trained`; others may have left better or worse ones."""
NICKNAMES = ("Lena", "Max", "Zoë", "Юля", "Mina")


@pytest.fixture
def code(client: Client) -> Iterator[str]:
    """The code of a class that is deleted afterwards."""
    started = client.classes.start("Girls' Day", datetime.now().astimezone() + timedelta(hours=2))
    yield started["code"]
    client.classes.delete(started["code"])


def _join(open_page: OpenPage, code: str, nickname: str, **options: Any) -> Page:
    page = open_page(f"/c/{code.upper()}", token=None, **{**PHONE, **options})
    page.locator("#nickname").fill(nickname)
    page.locator("form:has(#nickname) button").click()
    page.wait_for_url("**/")
    page.locator("#model").select_option(MODEL)
    return page


def _serious(page: Page) -> list[str]:
    found = Axe().run(page).response["violations"]
    return [violation["id"] for violation in found if violation["impact"] in SERIOUS]


def test_a_teacher_and_five_telephones_one_of_which_loses_its_session(
    open_page: OpenPage, client: Client
) -> None:
    teacher = open_page("/classes")
    teacher.locator("#title").fill("Robotics")
    teacher.locator("#start button").click()
    teacher.wait_for_url("**/classes/*")
    code = teacher.url.rpartition("/")[2]
    try:
        expect(teacher.locator("#nobody")).to_be_visible()
        phones = [_join(open_page, code, nickname) for nickname in NICKNAMES]
        expect(teacher.locator("#pupils tbody tr")).to_have_count(5)
        for phone in phones:
            draw_by_touch(phone, ONE)
        for phone in phones:
            expect(phone.locator("#digit")).to_have_text("1")

        lena = phones[0]
        lena.context.clear_cookies()
        lena.goto("/jobs")
        lena.wait_for_url(re.compile("/login"))
        expect(lena.get_by_role("link", name="code of the class")).to_have_attribute("href", "/c")
        teacher.get_by_role("button", name="Let Lena back in").click()
        expect(teacher.locator("#return")).to_contain_text("Lena opens")
        entry = "".join(filter(str.isdigit, teacher.locator("#return").inner_text().partition("types")[2]))[
            :6
        ]
        lena.goto(f"/c/{code}")
        lena.locator("summary").filter(has_text="I was in already").click()
        lena.locator("#entry").fill(entry)
        lena.locator("form:has(#entry) button").click()
        lena.wait_for_url("**/")
        expect(lena.locator(".who")).to_contain_text("Lena")

        teacher.locator("#pause").click()
        expect(teacher.locator("#note")).to_contain_text("paused")
        phones[1].wait_for_timeout(1100)  # tokens are remembered for a second
        draw_by_touch(phones[1], ONE)
        expect(phones[1].locator("#problem")).to_contain_text("paused")
        teacher.locator("#resume").click()
        expect(teacher.locator("#note")).to_be_hidden()

        teacher.on("dialog", lambda dialog: dialog.accept())
        teacher.get_by_role("button", name="Remove Max").click()
        expect(teacher.locator("#pupils tbody tr")).to_have_count(4)
        teacher.locator("#end").click()
        expect(teacher.locator("#state")).to_contain_text("ended")
        assert [pupil["nickname"] for pupil in client.classes.show(code)["pupils"]] == [
            *(nickname for nickname in NICKNAMES if nickname != "Max")
        ]
    finally:
        client.classes.delete(code)


@pytest.fixture
def tolerated(request: pytest.FixtureRequest) -> list[str]:
    """The browser names the refusals that the first test provokes."""
    if "five_telephones" in request.node.name:
        return ["Failed to load resource: the server responded with a status of 409"]
    return []


def test_sixty_seconds_count_what_the_chip_reads_and_are_on_the_board_of_who_wants_it(
    open_page: OpenPage, code: str
) -> None:
    page = _join(open_page, code, "Lena")
    page.goto(f"/challenges?model={MODEL}")
    page.locator("#on-board").check()
    page.locator("#start").click()
    for _ in range(100):  # prompts until there is a one
        if page.locator("#ask").inner_text() == "Draw a 1":
            break
        with page.expect_response("**/answers"):
            page.locator("#skip").click()
    expect(page.locator("#ask")).to_have_text("Draw a 1")

    page.locator("#canvas").scroll_into_view_if_needed()
    draw_by_touch(page, ONE)

    expect(page.locator("#left")).to_contain_text("1 right")
    expect(page.locator("#ask")).not_to_have_text("Draw a 1")
    page.locator("#which label").filter(has_text="Fool the chip").click()  # shows that board, and back
    page.locator("#which label").filter(has_text="Sixty seconds").click()
    expect(page.locator("#board li")).to_contain_text("Lena")


def test_a_drawing_that_fools_the_chip_counts_when_the_others_read_it(
    open_page: OpenPage, code: str, client: Client
) -> None:
    lena, *others = (_join(open_page, code, nickname) for nickname in ("Lena", "Max", "Mina"))
    for page in (lena, *others):
        page.goto(f"/challenges?model={MODEL}")
        expect(page.locator("#model")).to_have_value(MODEL)
        page.locator("#which label").filter(has_text="Fool the chip").click()
    lena.locator("#mean label").filter(has_text="4").click()
    lena.locator("#canvas").scroll_into_view_if_needed()
    draw_by_touch(lena, ONE)
    lena.locator("#try").tap()
    expect(lena.locator("#said")).to_contain_text("The chip reads a 1!")

    for page in others:
        page.get_by_role("button", name="I read a 4").tap(timeout=15_000)
        expect(page.locator("#judged")).to_contain_text("Meant was a 4")

    expect(lena.locator("#yours li")).to_contain_text("counts", timeout=15_000)
    lena.locator("#on-board").check()
    expect(lena.locator("#board li")).to_contain_text("Lena")
    assert client.classes.show(code)["board"]["fool"][0]["nickname"] == "Lena"


def test_a_person_beats_the_mistakes_of_the_network_by_keyboard(open_page: OpenPage, trained: Job) -> None:
    version = trained.expect_success().result["version"]
    page = open_page(f"/challenges?model=digits@{version}", locale="de")
    expect(page.locator("#model")).to_have_value(f"digits@{version}")
    page.locator("#which [value=mistakes]").focus()
    page.keyboard.press("Space")
    first = page.locator("#pictures input").first
    first.fill("3")

    first.press("Enter")

    expect(page.locator("#solved")).to_contain_text("Das Netz hat keins davon richtig gelesen")
    expect(page.locator("#pictures .bad, #pictures .good").first).to_contain_text("das Netz las")


@pytest.mark.parametrize("colours", ["light", "dark"])
def test_the_pages_of_a_class_have_no_serious_barrier(
    open_page: OpenPage, code: str, client: Client, colours: str
) -> None:
    for path, options in (
        (f"/c/{code}", {"token": None, **PHONE, "locale": "de"}),
        ("/c", {"token": None, **PHONE}),
        (f"/classes/{code}/screen", {}),
        (f"/classes/{code}", {"locale": "de", **PHONE}),
    ):
        page = open_page(path, color_scheme=colours, **options)
        page.wait_for_timeout(500)
        assert _serious(page) == [], path
        width = page.viewport_size["width"] if page.viewport_size else 0
        assert page.evaluate("document.documentElement.scrollWidth") <= width, path
    assert client.classes.show(code)["pupils"] == []
