"""Seeing the network think: the activations of a reading, tile by tile, and what one neuron does."""

from pathlib import Path
from typing import Any

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Page, expect
from safetensors.numpy import load_file

from hxserve import Client
from tests.browser.conftest import OpenPage
from tests.browser.test_draw import ZERO, draw_by_mouse, draw_by_touch

pytestmark = pytest.mark.long

DARK = [32, 38, 47]
MAPS: list[dict[str, Any]] = [
    {"type": "conv2d", "out_channels": 8, "kernel_size": 7, "stride": 3},
    {"type": "converting_relu", "shift": 2},
    {"type": "flatten"},
    {"type": "linear", "out_features": 10},
]


def _open(page: Page) -> Any:
    """Opens the layers, and gives the prediction that fills them."""
    with page.expect_response("**/classify?*activations=true*") as answered:
        page.get_by_role("heading", name="See it think").click()
    expect(page.locator(".layer")).to_have_count(4)
    return answered.value.json()["predictions"][0]


def _tiles(page: Page, layer: int) -> list[list[int]]:
    """The colours of the tiles of a layer, row by row."""
    tiles: list[list[int]] = (
        page.locator(".layer canvas")
        .nth(layer)
        .evaluate(
            """(canvas) => {
          const { data } = canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height);
          return Array.from({ length: data.length / 4 }, (_, i) => [...data.slice(4 * i, 4 * i + 3)]);
        }"""
        )
    )
    return tiles


@pytest.mark.usefixtures("trained")
def test_each_neuron_is_a_tile_and_those_that_are_silent_are_dark(open_page: OpenPage) -> None:
    page = open_page("/?model=digits@1")
    draw_by_mouse(page, ZERO)
    expect(page.locator("#digit")).to_have_text("0")

    page.get_by_role("switch", name="Live").uncheck()
    prediction = _open(page)

    captions = page.locator(".layer figcaption")
    expect(captions).to_have_text(["784 pixels", "Layer 1: 256 neurons", "Layer 2: 256 neurons", "10 scores"])
    for number, layer in enumerate(prediction["activations"], 1):
        values, tiles = layer["values"], _tiles(page, number)
        assert (layer["shape"], len(tiles)) == ([256], 256)
        assert 0 < sum(value > 0 for value in values) < 256
        assert [tile == DARK for tile in tiles] == [value == 0 for value in values]
    expect(page.locator("#outputs .best")).to_have_text("0")
    expect(page.locator("#tint")).to_be_hidden()


@pytest.mark.usefixtures("trained")
def test_a_neuron_that_is_pointed_at_shows_its_weights_and_what_it_adds(
    open_page: OpenPage, client: Client, tmp_path: Path
) -> None:
    weights = load_file(client.download_weights("digits", 1, tmp_path / "weights.safetensors"))
    page = open_page("/?model=digits@1")
    draw_by_mouse(page, ZERO)
    page.get_by_role("switch", name="Live").uncheck()
    values = _open(page)["activations"][1]["values"]
    loud = max(range(256), key=values.__getitem__)
    layer = page.locator(".layer canvas").nth(2)
    layer.scroll_into_view_if_needed()
    box = layer.bounding_box()
    assert box is not None

    page.mouse.move(
        box["x"] + (loud % 16 + 0.5) * box["width"] / 16, box["y"] + (loud // 16 + 0.5) * box["height"] / 16
    )

    expect(page.locator("#neuron-name")).to_have_text(
        f"Neuron {loud + 1} in layer 2: activity {values[loud]}."
    )
    expect(page.locator("#adds .value")).to_have_text(
        [
            f"{round(float(weight) * values[loud]):,}".replace("-", "\N{MINUS SIGN}")
            for weight in weights["linear3.weight"][:, loud]
        ]
    )
    assert page.locator("#incoming").evaluate("(canvas) => [canvas.width, canvas.height]") == [16, 16]


@pytest.mark.usefixtures("trained")
def test_neurons_are_chosen_by_keyboard_too(open_page: OpenPage) -> None:
    page = open_page("/?model=digits@1")
    draw_by_mouse(page, ZERO)
    page.get_by_role("switch", name="Live").uncheck()
    values = _open(page)["activations"][0]["values"]
    loud = values.index(max(values))
    right = loud + 1 if loud % 16 < 15 else loud

    page.locator(".layer canvas").nth(1).focus()
    expect(page.locator("#neuron-name")).to_contain_text(
        f"Neuron {loud + 1} in layer 1: activity {max(values)}."
    )
    page.keyboard.press("ArrowRight")

    expect(page.locator("#neuron-name")).to_contain_text(
        f"Neuron {right + 1} in layer 1: activity {values[right]}."
    )
    expect(page.locator("#adds-of")).to_be_hidden()
    expect(page.locator("#incoming")).to_have_attribute("width", "28")
    expect(page.locator("#incoming")).to_have_attribute("height", "28")


def test_feature_maps_are_seen_on_a_dark_telephone_in_german(open_page: OpenPage, client: Client) -> None:
    client.train("seen-maps", recipe="conv", dataset="digits", epochs=1, network=MAPS, wait=True)
    page = open_page(
        "/?model=seen-maps@1",
        has_touch=True,
        viewport={"width": 360, "height": 740},
        locale="de",
        color_scheme="dark",
    )
    expect(page.locator("#model")).to_have_value("seen-maps@1")
    draw_by_touch(page, ZERO)

    page.get_by_role("heading", name="Sieh ihm beim Denken zu").tap()
    expect(page.locator(".layer figcaption")).to_have_text(
        ["784 Bildpunkte", "Schicht 1: 8 Merkmalskarten, 8 \N{MULTIPLICATION SIGN} 8", "10 Ausgaben"]
    )
    page.locator(".layer canvas").nth(1).tap()

    expect(page.locator("#neuron-name")).to_contain_text("in Schicht 1: Aktivität")
    expect(page.locator("#incoming-of")).to_have_text("Das Muster, das seine Karte überall sucht")
    assert page.locator("#incoming").evaluate("(canvas) => [canvas.width, canvas.height]") == [7, 7]
    expect(page.locator("#adds-of")).to_be_visible()
    assert page.evaluate("document.documentElement.scrollWidth") == 360
    serious = [
        violation["id"]
        for violation in Axe().run(page).response["violations"]
        if violation["impact"] in {"serious", "critical"}
    ]
    assert serious == []
