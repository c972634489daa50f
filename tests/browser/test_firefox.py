"""The page in Firefox, driven by Mozilla's own client of Marionette: every page opens, and a drawing is read."""

import shutil
from collections.abc import Iterator
from typing import Any, Final

import pytest
from marionette_driver import By, Wait
from marionette_driver.marionette import Marionette

from deploy.local import Local
from deploy.ports import free_port
from hxserve.jobs import Job
from tests.browser.test_looks import PATHS
from tests.needs import needed

pytestmark = [
    pytest.mark.long,
    # Marionette leaves the socket open with which it asks whether Firefox listens yet.
    pytest.mark.filterwarnings("ignore:.*unclosed <socket:pytest.PytestUnraisableExceptionWarning"),
    pytest.mark.filterwarnings("ignore:unclosed <socket:ResourceWarning"),
]

WAIT_S: Final = 30.0
ONE: Final = [(0.5, 0.15), (0.5, 0.4), (0.5, 0.85)]

ERRORS: Final = """
  return Services.console.getMessageArray()
    .filter((message) => message instanceof Ci.nsIScriptError && !(message.flags & Ci.nsIScriptError.warningFlag))
    .filter((message) => message.sourceName.startsWith(arguments[0]))
    .map((message) => message.errorMessage);
"""
"""What Firefox's console has as an error of the service's pages, content policy included."""


@pytest.fixture(scope="module")
def firefox(local: Local, trained: Job, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Marionette]:
    """Firefox without a window, signed in; without Firefox these tests are skipped at a desk and fail in CI."""
    del trained  # a drawing needs a model
    executable = needed(
        shutil.which("firefox-esr") or shutil.which("firefox"),
        "there is no Firefox; `apt-get install firefox-esr`",
    )
    folder = tmp_path_factory.mktemp("firefox")
    firefox = Marionette(
        bin=executable,
        headless=True,
        port=free_port("127.0.0.1", 0),
        prefs={"intl.accept_languages": "en"},
        gecko_log=str(folder / "log"),
        workspace=str(folder),
    )
    firefox.start_session()
    try:
        firefox.navigate(f"{local.url}/?token={local.token}")
        yield firefox
    finally:
        firefox.quit()
        firefox.cleanup()


@pytest.fixture
def errors(firefox: Marionette, local: Local) -> Iterator[None]:
    """Fails a test whose pages wrote an error to the console."""
    with firefox.using_context("chrome"):
        firefox.execute_script("Services.console.reset()")
    yield
    with firefox.using_context("chrome"):
        assert firefox.execute_script(ERRORS, script_args=(local.url,)) == []


@pytest.mark.usefixtures("errors")
@pytest.mark.parametrize("path", PATHS)
def test_each_page_opens_without_an_error(firefox: Marionette, local: Local, path: str) -> None:
    firefox.navigate(local.url + path)

    assert firefox.find_element(By.TAG_NAME, "h1").text
    assert firefox.execute_script("return document.documentElement.scrollWidth <= window.innerWidth")


@pytest.mark.usefixtures("errors")
@pytest.mark.parametrize("pointer", ["mouse", "touch"])  # for a pen, Firefox has no move yet
def test_a_drawing_is_read(firefox: Marionette, local: Local, pointer: str) -> None:
    _open_to_draw(firefox, local)
    canvas = firefox.find_element(By.ID, "canvas")
    box: Any = canvas.rect
    places = [(round(box["x"] + x * box["width"]), round(box["y"] + y * box["height"])) for x, y in ONE]

    finger = firefox.actions.sequence("pointer", pointer, {"pointerType": pointer})
    finger.pointer_move(*places[0]).pointer_down()
    for place in places[1:]:
        finger.pointer_move(*place, duration=100)
    finger.pointer_up().perform()

    _await_digit(firefox, "1")


@pytest.mark.usefixtures("errors")
def test_a_drawing_by_keyboard_is_read(firefox: Marionette, local: Local) -> None:
    _open_to_draw(firefox, local)
    firefox.execute_script("document.querySelector('#canvas').focus()")

    firefox.actions.sequence("key", "keyboard").send_keys(" " + "\ue015" * 8).perform()

    Wait(firefox, timeout=WAIT_S).until(
        lambda _: firefox.find_element(By.ID, "digit").text in set("0123456789")
    )


def _open_to_draw(firefox: Marionette, local: Local) -> None:
    """Open the page for drawing, and choose the model that these tests have trained."""
    firefox.navigate(f"{local.url}/")
    Wait(firefox, timeout=WAIT_S).until(
        lambda _: firefox.execute_script(
            """const model = document.querySelector("#model");
            if (![...model.options].some(({ value }) => value === "digits@1")) return false;
            model.value = "digits@1";
            model.dispatchEvent(new Event("change"));
            return true;"""
        )
    )


def _await_digit(firefox: Marionette, digit: str) -> None:
    Wait(firefox, timeout=WAIT_S).until(lambda _: firefox.find_element(By.ID, "digit").text == digit)
