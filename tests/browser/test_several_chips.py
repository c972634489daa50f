"""Watching a service of several chips."""

import re
from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, Locator, expect

from deploy.local import Local, running
from hxserve import Client
from services.settings import load_settings
from tests.browser.conftest import GOOD_SHIFT, TRAINING, OpenPage, layout_shift, pages_of
from tests.browser.test_draw import ZERO, draw_by_mouse
from tests.browser.test_train import open_advanced

pytestmark = pytest.mark.long


@pytest.fixture(scope="module")
def two_chips(browser: Browser, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Local]:
    """A service of two emulated chips, one of which has trained."""
    del browser  # without one there is nothing to start
    settings = load_settings(
        data_dir=tmp_path_factory.mktemp("chips"), chip="emulator", port=0, canary_every_s=2
    )
    with running(settings, chips=2) as local:
        with Client(local.url, local.token) as client:
            client.train("digits", wait=True, execution="mock", **TRAINING)
        yield local


@pytest.fixture
def open_page(browser: Browser, two_chips: Local) -> Iterator[OpenPage]:
    with pages_of(two_chips, browser) as open_page:
        yield open_page


def test_the_chip_page_shows_every_chip(open_page: OpenPage) -> None:
    page = open_page("/chip")

    for chip in ("chip-1", "chip-2"):
        expect(page.get_by_role("region", name=chip, exact=True)).to_contain_text("ready")
        expect(page.get_by_role("region", name=chip, exact=True)).to_contain_text("°C")
        expect(page.locator("#canary .legend")).to_contain_text(f"{chip}: score")
        expect(page.locator("#temperature .legend")).to_contain_text(chip)
        expect(page.locator("#pattern h3").filter(has_text=chip)).to_be_visible()
    expect(page.locator("#pattern .patterns")).to_have_count(2)


def test_neurons_are_coloured_by_the_fixed_pattern_of_the_chip_that_read(open_page: OpenPage) -> None:
    page = open_page("/?model=digits@1")
    draw_by_mouse(page, ZERO)
    page.get_by_role("switch", name="Live").uncheck()
    page.get_by_role("heading", name="See it think").click()
    layer = page.locator(".layer canvas").nth(1)
    by_value = layer.evaluate("(canvas) => canvas.toDataURL()")

    page.get_by_text("By the chip's fixed pattern").click()
    by_pattern = layer.evaluate("(canvas) => canvas.toDataURL()")
    layer.focus()

    assert by_pattern != by_value
    expect(page.locator("#neuron-name")).to_contain_text(
        re.compile(r"On this chip it is off by -?[\d.]+ LSB")
    )


def test_a_chip_and_its_mock_read_one_drawing_side_by_side(open_page: OpenPage) -> None:
    page = open_page("/?model=digits@1")
    page.get_by_role("heading", name="Chip beside mock").click()
    expect(page.locator("#compared-scores")).to_have_text("Draw a digit, and both read it.")
    page.get_by_role("switch", name="Live").uncheck()
    draw_by_mouse(page, ZERO)

    with page.expect_response(lambda answer: "mock=true" in answer.url) as answered:
        page.get_by_role("button", name="Recognise").click()
    [read] = answered.value.json()["predictions"]

    for column, scores in (("#by-chip", read["scores"]), ("#by-mock", read["mock"]["scores"])):
        values = page.locator(f"{column} .value")
        expect(values).to_have_text([str(score).replace("-", "\u2212") for score in scores])
    assert read["scores"] != read["mock"]["scores"]
    off = (
        sum(abs(chip - mock) for chip, mock in zip(read["scores"], read["mock"]["scores"], strict=True)) / 10
    )
    expect(page.locator("#compared-scores")).to_contain_text(f"{off:.1f} LSB")
    page.get_by_role("button", name="Clear").click()
    expect(page.locator("#by-mock .value")).to_have_text(["\u2013"] * 10)


def test_the_use_is_split_by_chip(open_page: OpenPage) -> None:
    page = open_page("/chip")

    page.get_by_text("By chip").click()

    expect(page.locator("#utilisation rect.column").first).to_be_visible()
    expect(page.locator("#utilisation .legend li").first).to_contain_text("chip-")


def test_the_charts_show_the_chip_that_is_chosen_also_after_a_reload(open_page: OpenPage) -> None:
    page = open_page("/chip")
    expect(page.locator("#pattern .patterns")).to_have_count(2)

    page.get_by_label("Charts of").select_option("chip-2")
    expect(page.locator("#pattern .patterns")).to_have_count(1)
    expect(page.locator("#canary .legend")).to_have_text("scorelimit")
    expect(page.get_by_text("By chip")).to_be_hidden()
    page.reload()

    expect(page.get_by_label("Charts of")).to_have_value("chip-2")
    expect(page.locator("#pattern .patterns")).to_have_count(1)


def test_a_second_calibration_keeps_the_raw_pattern_and_says_that_nothing_changed(
    open_page: OpenPage,
) -> None:
    page = open_page("/chip#chip-2")
    before = page.locator("#pattern figcaption").filter(has_text="Before any calibration")
    expect(before).to_be_visible()
    spread = _spread_of(before)

    for _ in range(2):
        page.goto("/chip#chip-2")
        page.get_by_role("button", name="Calibrate now: chip-2").click()
        page.wait_for_url("**/jobs/*")
        expect(page.locator("#state")).to_contain_text("succeeded", timeout=60_000)
        expect(page.locator("#facts")).to_contain_text("already flat")

    page.goto("/chip#chip-2")
    expect(page.locator("#pattern")).to_contain_text("already flat")
    expect(page.locator("#pattern .scale")).to_contain_text("+30 LSB")
    assert spread > 20
    assert _spread_of(before) == pytest.approx(spread, abs=1)


def _spread_of(caption: Locator) -> float:
    [spread] = re.findall(r"([\d.]+) LSB", caption.inner_text())
    return float(spread)


def test_what_scripts_bring_moves_nothing_on_a_telephone(open_page: OpenPage) -> None:
    page = open_page("/chip", viewport={"width": 360, "height": 740})
    page.wait_for_timeout(2500)

    assert layout_shift(page) < GOOD_SHIFT


def test_a_training_with_a_chip_in_its_loop_names_its_two_parts(open_page: OpenPage) -> None:
    page = open_page("/train")
    page.locator("#model").fill("looped")
    open_advanced(page)
    page.locator("#dataset").select_option("digits")
    page.get_by_label("Epochs", exact=True).fill("2")
    page.get_by_label("Epochs in the chip's loop").fill("1")
    page.get_by_role("button", name="Start the training").click()
    page.wait_for_url("**/jobs/*")

    expect(page.locator("#state")).to_contain_text("succeeded", timeout=60_000)
    expect(page.locator("#facts")).to_contain_text("3 / 3")
    expect(page.locator("#facts")).to_contain_text("(emulator)")
    expect(page.locator("#two-parts")).to_contain_text(
        "Up to epoch 2 the network learns in a model of the chip"
    )
