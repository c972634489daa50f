"""The walk of `make test`: a digit is drawn and read, a model is trained at the page and drawn with."""

import re

import pytest
from playwright.sync_api import Page, expect

from tests.browser.conftest import OpenPage
from tests.browser.test_draw import ZERO, draw_by_mouse
from tests.browser.test_train import fill


@pytest.mark.usefixtures("trained")
def test_a_stroke_drawn_by_mouse_is_read_while_it_is_drawn(open_page: OpenPage) -> None:
    page = open_page()

    draw_by_mouse(page, ZERO)

    expect(page.locator("#digit")).to_have_text("0")
    expect(page.locator("#ranking li .name")).to_have_text([str(digit) for digit in range(10)])
    expect(page.locator("#ranking li.best")).to_have_count(1)
    expect(page.locator("#ranking li.best .name")).to_have_text("0")
    expect(page.locator("#detail")).to_contain_text("% sure")
    expect(page.locator("#timing")).to_have_text(
        re.compile(r"Read in [\d.]+ ms by chip-1, mock; waited [\d.]+ ms; [\d.]+ m?s there and back")
    )


@pytest.mark.usefixtures("trained")
def test_the_form_leads_to_a_finished_model_while_the_curves_move(open_page: OpenPage) -> None:
    page = open_page("/train")

    fill(page, model="from-the-page", epochs="10")
    expect(page.locator("#state")).to_contain_text("running", timeout=20_000)
    page.wait_for_function("() => document.querySelectorAll('#loss-curve circle').length > 2", timeout=60_000)
    early = _points(page, "loss-curve", "blue")
    expect(page.locator("#state")).to_contain_text("succeeded", timeout=90_000)
    late = _points(page, "loss-curve", "blue")

    assert 0 < early < late == 10
    expect(page.locator("#confusion td")).to_have_count(100)
    expect(page.locator("#mistakes img").first).to_be_visible()
    expect(page.locator("#facts")).to_contain_text("Accuracy on the test set")
    page.locator("#other").select_option("digits@1")
    expect(page.locator("#compared-with")).to_contain_text("percentage points")
    expect(page.locator("#compared-with .note")).to_have_count(0)
    expect(page.locator("#loss-curve .legend")).to_contain_text("test set, digits 1")
    page.get_by_role("link", name="Draw with it").click()
    expect(page.locator("#model")).to_have_value("from-the-page@1")


def _points(page: Page, chart: str, series: str) -> int:
    """How many places a line of a chart goes through."""
    path = page.locator(f"#{chart} svg[role=img] path.line.{series}").get_attribute("d") or ""
    return len(re.findall("[ML]", path))
