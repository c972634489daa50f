"""One picture read many times, and the staircase of a model."""

import re

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import expect

from hxserve import Client
from tests.browser.conftest import OpenPage
from tests.browser.test_draw import ONE, ZERO, draw_by_mouse, draw_by_touch

pytestmark = pytest.mark.long


@pytest.mark.usefixtures("trained")
def test_each_reading_of_one_picture_is_a_dot_and_the_mean_is_of_as_many_as_the_slider_says(
    open_page: OpenPage,
) -> None:
    page = open_page("/?model=digits@1")
    page.get_by_role("heading", name="Never twice the same").click()
    again = page.get_by_role("button", name="Read it 64 times")
    expect(again).to_be_disabled()
    draw_by_mouse(page, ZERO)
    expect(page.locator("#digit")).to_have_text("0")

    with page.expect_response(
        lambda answer: len(answer.request.post_data_buffer or b"") == 64 * 784
    ) as answered:
        again.click()
    scores = [prediction["scores"] for prediction in answered.value.json()["predictions"]]

    expect(page.locator("#clouds circle")).to_have_count(640)
    heights = page.locator("#clouds circle").evaluate_all(
        "(dots) => dots.map((dot) => 135 - dot.getAttribute('cy'))"
    )
    assert heights == [score for reading in scores for score in reading]
    for count in (1, 16, 64):
        page.locator("#readings").fill(str(count))
        expect(page.locator("#settled")).to_contain_text(
            "A single reading: it says 0" if count == 1 else f"The mean of {count} readings says 0"
        )
        mean = sum(reading[0] for reading in scores[:count]) / count
        shown = page.locator("#clouds .mean[data-digit='0']").evaluate(
            "(line) => 135 - line.getAttribute('y1')"
        )
        assert shown == pytest.approx(mean, abs=1e-6)
    page.locator("#canvas").scroll_into_view_if_needed()
    draw_by_mouse(page, ONE)
    expect(page.locator("#clouds-of")).to_be_hidden()


@pytest.mark.usefixtures("trained")
def test_the_staircase_is_one_job_by_one_button_and_found_again(open_page: OpenPage, client: Client) -> None:
    before = {job.id for job in client.jobs()}
    page = open_page("/?model=digits@1")
    expect(page.locator("#model")).to_have_value("digits@1")
    page.get_by_role("heading", name="Never twice the same").click()

    page.get_by_role("button", name="Measure the staircase").click()
    steps = page.locator("#stairs li")
    expect(steps).to_have_count(3)
    for step in range(3):
        expect(steps.nth(step).locator(".value")).to_have_text(re.compile(r"[89]\d\.\d%"), timeout=60_000)
    expect(page.locator("#staircase-of")).to_contain_text("Of digits@1. The last steps need a chip")
    measured = steps.locator(".value").all_inner_texts()
    page.reload()
    page.get_by_role("heading", name="Never twice the same").click()

    expect(steps.locator(".value")).to_have_text(measured)
    [job] = [job for job in client.jobs() if job.id not in before]
    assert (job.kind, job.state, job.model) == ("staircase", "succeeded", "digits")
    assert [step["name"] for step in job.result["steps"]] == ["float32", "quantised", "mock"]
    page.locator("#staircase-of a").click()
    expect(page.get_by_role("heading", name="Staircase digits")).to_be_visible()
    expect(page.locator("#stairs .value")).to_have_text(measured)
    expect(page.locator("#facts")).not_to_contain_text("Published")


@pytest.mark.usefixtures("trained")
def test_a_mock_in_place_of_a_chip_says_that_both_columns_are_alike(open_page: OpenPage) -> None:
    page = open_page("/?model=digits@1")
    draw_by_mouse(page, ZERO)
    expect(page.locator("#digit")).to_have_text("0")

    page.get_by_role("heading", name="Chip beside mock").click()

    expect(page.locator("#compared-scores")).to_contain_text("Both say 0.")
    expect(page.locator("#compared-scores")).to_contain_text("a mock in place of a chip")


@pytest.mark.usefixtures("trained")
def test_readings_fit_a_dark_telephone_in_german(open_page: OpenPage) -> None:
    page = open_page(
        "/?model=digits@1",
        has_touch=True,
        viewport={"width": 360, "height": 740},
        locale="de",
        color_scheme="dark",
    )
    draw_by_touch(page, ZERO)
    expect(page.locator("#digit")).to_have_text("0")

    page.get_by_role("heading", name="Chip neben Mock").tap()
    expect(page.locator("#by-mock .best .name")).to_have_text("0")
    page.get_by_role("heading", name="Nie zweimal gleich").tap()
    page.get_by_role("button", name="64-mal lesen").tap()

    expect(page.locator("#said")).to_contain_text("64 Lesungen")
    assert page.evaluate("document.documentElement.scrollWidth") == 360
    serious = [
        violation["id"]
        for violation in Axe().run(page).response["violations"]
        if violation["impact"] in {"serious", "critical"}
    ]
    assert serious == []
