"""Data sets at the page: uploading, also through lost connections; looking, sharing, deleting, training."""

import base64
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import pytest
from playwright.sync_api import Locator, Page, Route, expect

from deploy.local import Local
from hxserve import Client
from tests.browser.conftest import OpenPage
from tests.browser.test_train import open_advanced
from tests.worker.imports.files import digits, folders, npz, zipped

pytestmark = pytest.mark.long

_TELEPHONE: Final[dict[str, Any]] = {
    "viewport": {"width": 360, "height": 740},
    "has_touch": True,
    "is_mobile": True,
    "locale": "de",
}
_IMPORT_MS: Final = 30_000


@dataclass(frozen=True, slots=True)
class Owner:
    """A user of one test."""

    client: Client
    token: str

    def names(self) -> list[str]:
        """The names of their own data sets; other tests share theirs."""
        me = self.client.me()["name"]
        owned = [of["name"] for of in self.client.datasets.list() if of["owner"] == me]
        return [name.removeprefix(f"{me}~") for name in owned]


@pytest.fixture
def owner(local: Local, client: Client, request: pytest.FixtureRequest) -> Iterator[Owner]:
    """A user of this test's own."""
    name = request.node.originalname.removeprefix("test_").replace("_", "-")[:40].rstrip("-")
    token = client.users.add(name)["token"]
    with Client(local.url, token) as own:
        yield Owner(own, token)


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """Fifty crops."""
    path = tmp_path / "digits.npz"
    path.write_bytes(npz(images=digits(50).images, labels=digits(50).labels))
    return path


def _expect_added(page: Page, text: str) -> None:
    expect(page.locator("#said")).to_contain_text(text, timeout=_IMPORT_MS)


def _card(page: Page, name: str) -> Locator:
    return page.get_by_role("article", name=name, exact=True)


def _sheet_is_drawn(page: Page) -> None:
    page.wait_for_function(
        "() => [...document.querySelectorAll('img.sheet')].some((image) => image.naturalWidth === 602)"
    )


def test_files_are_chosen_shared_and_deleted_with_the_mouse(
    open_page: OpenPage, owner: Owner, file: Path
) -> None:
    page = open_page("/datasets", token=owner.token)
    page.locator("#name").fill("mine")
    page.locator("#files").set_input_files(file)
    expect(page.locator("#chosen")).to_contain_text("digits.npz")
    page.get_by_role("button", name="Upload").click()

    _expect_added(page, "mine@1 is there: 40 pictures to learn from, 10 to test with.")
    card = _card(page, "mine")
    expect(card.get_by_role("row", name="Test").get_by_role("cell").last).to_have_text("10")
    expect(card).to_contain_text("0.2 of each digit was chosen")
    _sheet_is_drawn(page)
    card.get_by_role("button", name="Share with everyone").click()
    expect(page.locator("#said")).to_have_text("Everyone may use mine now.")
    assert owner.client.datasets.show("mine")["shared"]
    card.get_by_role("button", name="Delete mine").click()
    page.get_by_role("button", name="Keep").click()
    expect(page.get_by_role("dialog")).to_be_hidden()
    assert owner.names() == ["mine"]
    card.get_by_role("button", name="Delete mine").click()
    page.get_by_role("dialog").get_by_role("button", name="Delete").click()
    expect(page.locator("#said")).to_have_text("mine is deleted.")
    assert owner.names() == []


def test_an_upload_is_begun_and_a_version_deleted_with_the_keyboard_alone(
    open_page: OpenPage, owner: Owner, file: Path
) -> None:
    owner.client.datasets.add("mine", file, wait=True)
    page = open_page("/datasets", token=owner.token)
    page.locator("#files").set_input_files(file)  # the browser's own dialog is not part of the page

    page.locator("#name").focus()
    page.keyboard.type("mine")
    page.locator("#test_fraction").focus()
    page.keyboard.press("Control+a")
    page.keyboard.type("40")
    page.keyboard.press("Enter")
    _expect_added(page, "mine@2 is there: 30 pictures to learn from, 20 to test with.")
    _card(page, "mine").get_by_text("Older versions: 1").focus()
    page.keyboard.press("Enter")
    page.get_by_role("button", name="Delete version 1 of mine").focus()
    page.keyboard.press("Enter")
    page.get_by_role("dialog").wait_for()
    page.keyboard.press("Escape")
    expect(page.get_by_role("button", name="Delete version 1 of mine")).to_be_focused()
    page.keyboard.press("Enter")
    page.keyboard.press("Tab")
    page.keyboard.press("Enter")

    expect(page.locator("#said")).to_have_text("mine@1 is deleted.")
    assert [version["version"] for version in owner.client.datasets.show("mine")["versions"]] == ["2"]


def test_a_zip_that_is_dropped_goes_on_after_lost_connections(
    open_page: OpenPage, owner: Owner, tolerated: list[str]
) -> None:
    tolerated.append("Failed to load resource")
    page = open_page("/datasets", token=owner.token)
    content = base64.b64encode(
        zipped(folders(digits(50), "train/") | folders(digits(20, 1), "test/"))
    ).decode()
    lost: list[str] = []

    def lose(route: Route) -> None:
        if len(lost) < 2:
            lost.append(route.request.url)
            route.abort("connectionreset")
        else:
            route.continue_()

    page.route("**/files/*", lose)
    transfer = page.evaluate_handle(
        """(content) => {
          const transfer = new DataTransfer();
          const bytes = Uint8Array.from(atob(content), (character) => character.charCodeAt(0));
          transfer.items.add(new File([bytes], "digits.zip"));
          return transfer;
        }""",
        content,
    )
    page.locator("#drop").dispatch_event("drop", {"dataTransfer": transfer})
    expect(page.locator("#chosen")).to_contain_text("digits.zip")
    page.locator("#name").fill("dropped")
    page.get_by_role("button", name="Upload").click()

    _expect_added(page, "dropped@1 is there: 50 pictures to learn from, 20 to test with.")
    assert len(lost) == 2


def test_an_interrupted_upload_goes_on_when_the_files_are_chosen_again(
    open_page: OpenPage, owner: Owner, tmp_path: Path, tolerated: list[str]
) -> None:
    tolerated.append("Failed to load resource")
    path = tmp_path / "large.npz"
    crops = digits(60_000)
    path.write_bytes(npz(images=crops.images, labels=crops.labels))
    assert path.stat().st_size > 2**21
    page = open_page("/datasets", token=owner.token)
    parts: list[str] = []

    def refuse_second(route: Route) -> None:
        parts.append(route.request.headers["content-range"])
        if len(parts) == 2:
            route.fulfill(status=500, json={"code": "internal_error", "detail": "out of order"})
        else:
            route.continue_()

    page.route("**/files/*", refuse_second)
    page.locator("#name").fill("large")
    page.locator("#files").set_input_files(path)
    page.get_by_role("button", name="Upload").click()
    expect(page.locator("#upload-problem")).to_have_text("out of order")
    page.reload()

    page.locator("#name").fill("large")
    page.locator("#files").set_input_files(path)
    page.get_by_role("button", name="Upload").click()

    _expect_added(page, "large@1 is there")
    assert parts[2] == parts[1], "the first part was not sent again"


def test_pictures_are_sent_from_a_telephone(open_page: OpenPage, owner: Owner, tmp_path: Path) -> None:
    for name, content in folders(digits(20), "digits/").items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_bytes(content)
    page = open_page("/datasets", token=owner.token, **_TELEPHONE)
    page.locator("#name").fill("handy")
    page.locator("#folder").set_input_files(tmp_path / "digits")
    expect(page.locator("#chosen")).to_contain_text("20 Dateien")

    page.get_by_role("button", name="Hochladen").tap()

    _expect_added(page, "handy@1 ist da: 10 Bilder zum Lernen, 10 zum Testen.")
    _sheet_is_drawn(page)
    assert page.evaluate("document.documentElement.scrollWidth") <= 360
    page.get_by_role("button", name="handy löschen").tap()
    page.get_by_role("dialog").get_by_role("button", name="Löschen").tap()
    expect(page.locator("#said")).to_have_text("handy ist gelöscht.")
    assert owner.names() == []


def test_refused_files_are_named_in_words(open_page: OpenPage, owner: Owner, tmp_path: Path) -> None:
    path = tmp_path / "wrong.npz"
    path.write_bytes(npz(images=digits(20).images, labels=digits(20).labels + 9))
    page = open_page("/datasets", token=owner.token)

    page.locator("#name").fill("mine")
    page.get_by_role("button", name="Upload").click()
    expect(page.locator("#upload-problem")).to_have_text("Choose files or a folder first.")
    page.locator("#files").set_input_files(path)
    page.get_by_role("button", name="Upload").click()

    expect(page.locator("#upload-problem")).to_contain_text("wrong.npz", timeout=_IMPORT_MS)
    expect(page.locator("#upload-problem")).to_contain_text("0")
    expect(page.locator("#progress")).to_be_hidden()


def test_a_network_is_trained_on_a_data_set(open_page: OpenPage, owner: Owner, file: Path) -> None:
    owner.client.datasets.add("mine", file, wait=True)
    page = open_page("/datasets", token=owner.token)

    _card(page, "mine").get_by_role("link", name="Train on it").click()
    expect(page.locator("#dataset optgroup option").first).to_contain_text("mine@1")
    expect(page.locator("#dataset")).to_have_value(re.compile("mine@1$"))
    page.locator("#model").fill("mine")
    page.locator("#epochs").fill("1")
    page.get_by_role("button", name="Start the training").click()
    page.wait_for_url("**/jobs/*")

    job = owner.client.wait(page.url.rpartition("/")[2]).expect_success()
    assert str(job.params["dataset"]).endswith("~mine@1")
    again = open_page("/train", token=owner.token)
    open_advanced(again)
    again.locator("#dataset").select_option(label="a-network-is-trained-on-a-data-set~mine")


def test_the_crops_are_downloaded(open_page: OpenPage, owner: Owner, file: Path) -> None:
    owner.client.datasets.add("mine", file, wait=True)
    page = open_page("/datasets", token=owner.token)

    with page.expect_download() as download:
        _card(page, "mine").get_by_role("link", name="Download").click()

    assert download.value.suggested_filename.endswith("mine-1.safetensors")
