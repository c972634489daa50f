"""Drawing a digit and watching the chip guess."""

import math
import re
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from PIL import Image, ImageDraw
from playwright.sync_api import Page, Request, expect

from api.texts import LANGUAGES
from deploy.local import Local
from hxserve import Client
from hxserve.jobs import Job
from tests.browser.conftest import OpenPage

pytestmark = pytest.mark.long

ONE = [(0.5, 0.15), (0.5, 0.4), (0.5, 0.85)]
ZERO = [
    (0.5 + 0.2 * math.sin(turn * math.tau / 12), 0.5 + 0.3 * math.cos(turn * math.tau / 12))
    for turn in range(13)
]


def _places(page: Page, stroke: list[tuple[float, float]]) -> list[tuple[float, float]]:
    box = page.locator("#canvas").bounding_box()
    assert box is not None
    return [(box["x"] + x * box["width"], box["y"] + y * box["height"]) for x, y in stroke]


def draw_by_mouse(page: Page, stroke: list[tuple[float, float]]) -> None:
    first, *others = _places(page, stroke)
    page.mouse.move(*first)
    page.mouse.down()
    for place in others:
        page.mouse.move(*place, steps=8)
    page.mouse.up()


def draw_by_touch(page: Page, stroke: list[tuple[float, float]]) -> None:
    touch = page.context.new_cdp_session(page)
    first, *others = _places(page, stroke)
    touch.send("Input.dispatchTouchEvent", {"type": "touchStart", "touchPoints": [_point(first)]})
    for place in others:
        touch.send("Input.dispatchTouchEvent", {"type": "touchMove", "touchPoints": [_point(place)]})
    touch.send("Input.dispatchTouchEvent", {"type": "touchEnd", "touchPoints": []})


def _point(place: tuple[float, float]) -> dict[str, float]:
    return {"x": place[0], "y": place[1]}


def shown_pixels(page: Page) -> int:
    """How many points of the drawing are bright."""
    count: int = page.evaluate(
        "[...document.querySelector('#canvas').getContext('2d').getImageData(0, 0, 28, 28).data]"
        ".filter((value, i) => i % 4 === 0 && value > 127).length"
    )
    return count


def pixels_of(page: Page, canvas: str) -> list[int]:
    """The 784 grey values of a canvas."""
    grey: list[int] = page.evaluate(
        """(canvas) => {
          const copy = new OffscreenCanvas(28, 28).getContext("2d");
          copy.drawImage(document.querySelector(canvas), 0, 0);
          return [...copy.getImageData(0, 0, 28, 28).data].filter((value, i) => i % 4 === 0);
        }""",
        canvas,
    )
    return grey


def await_pixels(page: Page, canvas: str, are_right: Callable[[list[int]], bool]) -> None:
    """Wait until a canvas shows what it should."""
    end = time.monotonic() + 10
    while not are_right(pixels_of(page, canvas)):
        assert time.monotonic() < end, f"{canvas} still shows {pixels_of(page, canvas)}"
        page.wait_for_timeout(50)


@pytest.mark.usefixtures("trained")
def test_a_stroke_drawn_by_touch_is_read(open_page: OpenPage) -> None:
    page = open_page(has_touch=True, viewport={"width": 360, "height": 740})

    draw_by_touch(page, ONE)

    assert shown_pixels(page) > 20
    expect(page.locator("#digit")).to_have_text("1")


@pytest.mark.usefixtures("trained")
def test_a_tap_right_after_a_stroke_that_ended_in_motion_counts(open_page: OpenPage) -> None:
    """Such a stroke must not be a fling for the browser, which would swallow the tap."""
    page = open_page(has_touch=True, viewport={"width": 360, "height": 740})

    for _ in range(5):
        draw_by_touch(page, ONE)
        assert shown_pixels(page) > 20
        page.locator("#clear").tap()

        expect(page.locator("#undo")).to_be_enabled()
        await_pixels(page, "#canvas", lambda shown: not any(shown))


@pytest.mark.usefixtures("trained")
def test_a_stroke_drawn_by_keyboard_is_read(open_page: OpenPage) -> None:
    page = open_page()

    page.locator("#canvas").focus()
    for key in ["ArrowUp"] * 9 + [" "] + ["ArrowDown"] * 18:
        page.keyboard.press(key)

    expect(page.locator("#digit")).to_have_text("1")


@pytest.mark.usefixtures("trained")
def test_the_buttons_show_digits_that_the_model_reads(open_page: OpenPage) -> None:
    page = open_page()
    right = 0

    for digit in range(10):
        with page.expect_response("**/classify?*") as answered:
            page.locator(f"[data-digit='{digit}']").click()
        right += answered.value.json()["predictions"][0]["digit"] == digit

    assert right >= 8


@pytest.mark.usefixtures("trained")
def test_drawings_are_centred_for_reading_unless_the_switch_is_off(open_page: OpenPage) -> None:
    page = open_page()

    with page.expect_request("**/classify?centre=true&*"):
        draw_by_mouse(page, ONE)
    with page.expect_request("**/classify?centre=false&*"):
        page.get_by_label("Centre for reading").uncheck()


@pytest.mark.usefixtures("trained")
def test_black_ink_erases_and_clear_forgets(open_page: OpenPage) -> None:
    page = open_page()
    draw_by_mouse(page, ONE)
    drawn = shown_pixels(page)

    page.get_by_text("Eraser").click()
    page.locator("#width").fill("5")
    draw_by_mouse(page, ONE)
    erased = shown_pixels(page)
    page.get_by_role("button", name="Clear").click()

    assert drawn > 20
    assert erased == 0
    expect(page.locator("#digit")).to_have_text("?")
    expect(page.locator("#sure")).to_have_text("Draw something")
    draw_by_mouse(page, ONE)
    assert shown_pixels(page) > 20


@pytest.mark.usefixtures("trained")
def test_delete_clears_too_and_leaves_the_pen(open_page: OpenPage) -> None:
    page = open_page()
    draw_by_mouse(page, ONE)

    page.get_by_text("Eraser").click()
    page.locator("#canvas").focus()
    page.keyboard.press("Delete")
    cleared = shown_pixels(page)

    assert cleared == 0
    expect(page.get_by_label("Pen", exact=True)).to_be_checked()
    draw_by_mouse(page, ONE)
    assert shown_pixels(page) > 20


@pytest.mark.usefixtures("trained")
def test_strokes_and_clearing_are_undone_one_by_one(open_page: OpenPage) -> None:
    page = open_page()
    undo = page.get_by_role("button", name="Undo")
    expect(undo).to_be_disabled()
    draw_by_mouse(page, ONE)
    one = pixels_of(page, "#canvas")
    draw_by_mouse(page, ZERO)
    both = pixels_of(page, "#canvas")
    page.get_by_role("button", name="Clear").click()

    undo.click()
    assert pixels_of(page, "#canvas") == both
    page.keyboard.press("Control+z")
    assert pixels_of(page, "#canvas") == one
    expect(page.locator("#digit")).to_have_text("1")
    page.keyboard.press("Control+z")

    assert not any(pixels_of(page, "#canvas"))
    expect(undo).to_be_disabled()
    expect(page.locator("#digit")).to_have_text("?")


@pytest.mark.usefixtures("trained")
def test_what_was_undone_is_done_again_until_something_new_is_drawn(open_page: OpenPage) -> None:
    page = open_page()
    redo = page.get_by_role("button", name="Redo")
    expect(redo).to_be_disabled()
    draw_by_mouse(page, ONE)
    one = pixels_of(page, "#canvas")
    draw_by_mouse(page, ZERO)
    both = pixels_of(page, "#canvas")
    for _ in range(2):
        page.keyboard.press("Control+z")

    redo.click()
    assert pixels_of(page, "#canvas") == one
    page.keyboard.press("Control+y")
    assert pixels_of(page, "#canvas") == both
    page.keyboard.press("Control+z")
    page.keyboard.press("Control+Shift+z")
    assert pixels_of(page, "#canvas") == both
    expect(redo).to_be_disabled()
    page.keyboard.press("Control+z")
    expect(redo).to_be_enabled()
    draw_by_mouse(page, ZERO)

    expect(redo).to_be_disabled()


@pytest.mark.usefixtures("trained")
def test_an_empty_canvas_invites_until_the_pen_comes_down(open_page: OpenPage) -> None:
    page = open_page()
    invitation = page.get_by_text("draw a digit here")
    gone = re.compile("gone")
    expect(invitation).to_be_visible()
    expect(page.locator("#invitation")).not_to_have_class(gone)
    [(x, y)] = _places(page, [(0.5, 0.5)])

    page.mouse.move(x, y)
    page.mouse.down()
    expect(page.locator("#invitation")).to_have_class(gone)
    expect(page.locator("#invitation")).to_have_css("opacity", "0")
    page.mouse.up()
    page.get_by_role("button", name="Clear").click()

    expect(page.locator("#invitation")).not_to_have_class(gone)


@pytest.mark.usefixtures("trained")
def test_a_change_of_language_and_colours_keeps_the_drawing_and_the_choices(open_page: OpenPage) -> None:
    page = open_page()
    page.locator("#model").select_option(label="untrained (random weights)")
    page.get_by_label("Centre for reading").uncheck()
    draw_by_mouse(page, ZERO)
    drawn = pixels_of(page, "#canvas")

    page.locator("a[hreflang=de]").click()
    expect(page.get_by_role("heading", level=1)).to_contain_text("Zeichne eine Ziffer")
    page.get_by_title("Dunkel", exact=True).click()
    expect(page.locator("html")).to_have_attribute("data-theme", "dark")

    assert pixels_of(page, "#canvas") == drawn
    expect(page.locator("#digit")).not_to_have_text("?")
    expect(page.locator("#model")).to_have_value(re.compile("untrained@"))
    expect(page.get_by_label("Zum Lesen zentrieren")).not_to_be_checked()
    page.locator("#undo").click()
    assert not any(pixels_of(page, "#canvas"))


@pytest.mark.usefixtures("trained")
@pytest.mark.parametrize("width", [360, 768, 1280])
def test_no_answer_moves_anything(open_page: OpenPage, width: int) -> None:
    page = open_page(viewport={"width": width, "height": 800})
    places = """() => [...document.querySelectorAll(
        "#canvas, #sure, #ranking .name, #timing, #binary, #samples, #correction"
      )].map((element) => { const { x, y } = element.getBoundingClientRect(); return [x, Math.round(y + scrollY)]; })"""
    expect(page.locator("#model option").first).to_be_attached()
    page.locator("#model").select_option(label="untrained (random weights)")
    before = page.evaluate(places)

    draw_by_mouse(page, ZERO)
    expect(page.locator("#digit")).not_to_have_text("?")
    guessed = page.evaluate(places)
    page.locator("#model").select_option("digits@1")
    expect(page.locator("#digit")).to_have_text("0")

    assert guessed == before
    assert page.evaluate(places) == before


@pytest.mark.usefixtures("trained")
def test_moves_of_the_pen_are_painted_together_once_a_frame(open_page: OpenPage) -> None:
    page = open_page()

    counts = page.evaluate(
        """async () => {
          const canvas = document.querySelector("#canvas"), { left, top } = canvas.getBoundingClientRect();
          const strokes = { before: 0, after: 0 }, stroke = CanvasRenderingContext2D.prototype.stroke;
          const read = CanvasRenderingContext2D.prototype.getImageData;
          let phase = "before", reads = 0;
          const send = (type, x) =>
            canvas.dispatchEvent(new PointerEvent(type, { pointerId: 1, clientX: left + x, clientY: top + 90 }));
          canvas.setPointerCapture = () => {};
          send("pointerdown", 20);
          Object.assign(CanvasRenderingContext2D.prototype, {
            stroke() { strokes[phase] += 1; return stroke.call(this); },
            getImageData(...place) { reads += 1; return read.apply(this, place); },
          });
          for (let move = 0; move < 100; move += 1) send("pointermove", 20 + move);
          const readBefore = reads;
          phase = "after";
          await new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)));
          send("pointerup", 120);
          return { ...strokes, readBefore, reads };
        }"""
    )

    assert (counts["before"], counts["readBefore"]) == (0, 0)
    assert counts["after"] == 100
    assert counts["reads"] < 10


@pytest.mark.usefixtures("trained")
def test_the_binary_input_of_the_chip_is_shown(open_page: OpenPage) -> None:
    page = open_page()

    draw_by_mouse(page, [(x / 2, y / 2) for x, y in ONE])
    drawn = pixels_of(page, "#canvas")

    await_pixels(page, "#binary", lambda shown: set(shown) == {0, 255} and _height_of(shown) >= 19)
    page.get_by_label("Centre for reading").uncheck()
    await_pixels(page, "#binary", lambda shown: shown == [255 * (value > 127) for value in drawn])
    assert _height_of(drawn) < 14


def _height_of(pixels: list[int]) -> int:
    rows = [i // 28 for i, value in enumerate(pixels) if value > 127]
    return max(rows) - min(rows) + 1


@pytest.mark.usefixtures("trained")
@pytest.mark.parametrize("language", LANGUAGES)
def test_the_verdict_is_above_the_drawing_on_a_telephone(open_page: OpenPage, language: str) -> None:
    page = open_page(has_touch=True, viewport={"width": 360, "height": 740}, locale=language)

    draw_by_touch(page, ONE)
    expect(page.locator("#digit")).to_have_text("1")

    verdict, canvas = (page.locator(place).bounding_box() for place in (".verdict", "#canvas"))
    assert verdict is not None
    assert canvas is not None
    assert 0 <= verdict["y"] < verdict["y"] + verdict["height"] <= canvas["y"]
    assert canvas["y"] + canvas["height"] <= 740
    assert page.locator("#undo").bounding_box()["y"] < 740  # type: ignore[index]  # it is shown


@pytest.mark.usefixtures("trained")
def test_live_recognition_stops_and_starts(open_page: OpenPage) -> None:
    page = open_page()
    sent: list[Request] = []
    page.on("request", lambda request: sent.append(request) if "classify" in request.url else None)

    page.get_by_role("switch", name="Live").uncheck()
    draw_by_mouse(page, ONE)
    quiet = len(sent)
    page.get_by_role("button", name="Recognise").click()
    expect(page.locator("#digit")).to_have_text("1")
    asked_once = len(sent)
    page.get_by_role("switch", name="Live").check()
    expect(page.get_by_role("button", name="Recognise")).to_be_hidden()
    draw_by_mouse(page, ZERO)
    page.wait_for_function("() => document.querySelector('#digit').textContent !== '1'")

    assert (quiet, asked_once) == (0, 1)
    assert len(sent) > 1


@pytest.mark.usefixtures("trained")
def test_one_request_is_under_way_at_a_time_and_the_newest_picture_wins(open_page: OpenPage) -> None:
    page = open_page()
    under_way: list[int] = [0]
    most: list[int] = [0]

    def began(request: Request) -> None:
        if "classify" in request.url:
            under_way[0] += 1
            most[0] = max(most[0], under_way[0])

    def ended(request: Request) -> None:
        under_way[0] -= "classify" in request.url

    page.on("request", began)
    page.on("requestfinished", ended)
    for _ in range(3):
        draw_by_mouse(page, ZERO)
        draw_by_mouse(page, ONE)
    with page.expect_request("**/classify?*") as last:
        page.locator("[data-digit='0']").click()

    assert most[0] == 1
    expect(page.locator("#digit")).to_have_text("0")
    assert len(last.value.post_data_buffer or b"") == 784


@pytest.mark.usefixtures("trained")
def test_the_untrained_model_only_guesses(open_page: OpenPage) -> None:
    page = open_page()

    page.locator("#model").select_option(label="untrained (random weights)")
    page.locator("[data-digit='3']").click()

    expect(page.locator("#sure")).to_contain_text("Only a guess")
    expect(page.locator("#detail")).to_contain_text("10% sure")


@pytest.mark.usefixtures("trained")
def test_a_photo_is_shown_beside_what_the_chip_sees_of_it(open_page: OpenPage, tmp_path: Path) -> None:
    photo = Image.new("L", (400, 300), 230)
    ImageDraw.Draw(photo).line([(250, 60), (250, 240)], fill=20, width=22)
    photo.save(tmp_path / "one.png")
    page = open_page()

    page.locator("#photo").set_input_files(tmp_path / "one.png")

    expect(page.locator("#normalised")).to_be_visible()
    expect(page.locator("#original")).to_be_visible()
    expect(page.locator("#digit")).to_have_text("1")


@pytest.mark.usefixtures("trained")
@pytest.mark.parametrize("path", ["/v1/models/digits/classify", "/v1/crops"])
def test_several_files_of_a_browsers_form_are_read(open_page: OpenPage, path: str) -> None:
    page = open_page()
    draw_by_mouse(page, ONE)

    answer = page.evaluate(
        """async (path) => {
          const picture = await new Promise((done) => document.querySelector("#canvas").toBlob(done));
          const form = new FormData();
          for (const name of ["eins.png", "zwei ü.png", "drei.png"]) form.append("images", new File([picture], name));
          form.append("note", "no file");
          const response = await fetch(path, { method: "POST", body: form });
          return { status: response.status, ...await response.json() };
        }""",
        path,
    )

    assert answer["status"] == 200
    found = answer.get("predictions") or answer["crops"]
    assert len(found) == 3
    if "predictions" in answer:
        assert [prediction["digit"] for prediction in found] == [1, 1, 1]


@pytest.mark.usefixtures("trained")
def test_what_is_no_photo_is_refused_in_words(
    open_page: OpenPage, tmp_path: Path, tolerated: list[str]
) -> None:
    tolerated.append("Failed to load resource: the server responded with a status of 422")
    (tmp_path / "note.png").write_text("not a picture")
    page = open_page()

    page.locator("#photo").set_input_files(tmp_path / "note.png")

    expect(page.get_by_role("alert")).to_contain_text("is not a picture of a known format")


@pytest.mark.usefixtures("trained")
def test_a_cancelled_trainings_version_is_marked_and_never_the_default(
    open_page: OpenPage, client: Client
) -> None:
    job = client.train("digits", recipe="strong", dataset="digits", epochs=200)
    ended = open_page(f"/jobs/{job.id}")
    expect(ended.locator("#part")).to_have_text(re.compile("[1-9]"), timeout=30_000)
    ended.get_by_role("button", name="Cancel").click()
    expect(ended.locator("#state")).to_contain_text("cancelled", timeout=30_000)
    version = client.job(job.id).result["version"]

    draw = open_page()

    model = draw.locator("#model")
    expect(model).to_have_value("digits@1")
    expect(model.locator(f"option[value='digits@{version}']")).to_have_text(f"digits {version} (partial)")
    expect(ended.locator("#facts")).to_contain_text(f"Kept as partial version{version}")
    expect(ended.get_by_role("link", name="Draw with it")).to_be_visible()
    client.delete_version("digits", version)


def test_a_chosen_version_is_drawn_with(open_page: OpenPage, trained: Job, local: Local) -> None:
    del local
    page = open_page(f"/?model=digits@{trained.result['version']}")

    expect(page.locator("#model")).to_have_value("digits@1")
