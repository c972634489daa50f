"""The pages of jobs, chips and letter centres, live."""

import os
import re
import signal
from pathlib import Path
from typing import Any, Final

import pytest
from playwright.sync_api import Route, expect

from deploy.local import Local
from hxserve import Client
from hxserve.jobs import Job
from tests.browser.conftest import OpenPage

pytestmark = pytest.mark.long

_PICTURE: Final = (
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAAAAAA6fptVAAAACklEQVR4nGNgAAAAAgABSK+kcQAAAABJRU5ErkJggg=="
)
LETTER: Final[dict[str, Any]] = {
    "number": 7,
    "written": "69120",
    "read": "69120",
    "confidence": 0.98,
    "outcome": "routed",
    "reason": None,
    "town": "Heidelberg",
    "envelope": _PICTURE,
    "crops": [_PICTURE] * 5,
}
BELT: Final[dict[str, Any]] = {
    "title": "sorting",
    "letters": 200,
    "machines": 2,
    "done": 100,
    "routed": 80,
    "wrong": 1,
    "rejects": {"not sure": 20},
    "letters_per_h": 36000,
    "recent": [LETTER],
}


def test_a_batch_job_shows_how_far_it_is_and_gives_its_answers(
    open_page: OpenPage, client: Client, trained: Job, tmp_path: Path
) -> None:
    assert trained.state == "succeeded"
    job = client.batches.submit(model="digits", dataset="digits", part="test", wait=True)

    page = open_page(f"/jobs/{job.id}")

    expect(page.get_by_role("heading", level=1)).to_have_text("Batch job digits")
    expect(page.locator("#facts")).to_contain_text("360 / 360")
    with page.expect_download() as downloaded:
        page.get_by_role("link", name="csv", exact=True).click()
    downloaded.value.save_as(tmp_path / "answers.csv")
    assert len((tmp_path / "answers.csv").read_text().splitlines()) == 361


def test_the_list_shows_a_new_job_by_itself_and_filters(
    open_page: OpenPage, client: Client, trained: Job
) -> None:
    training = client.train("listed", wait=True, dataset="digits", epochs=1)
    assert trained.state == "succeeded"
    page = open_page("/jobs")
    expect(page.locator(f"a[href='/jobs/{training.id}']")).to_be_visible()

    evaluation = client.evaluate("digits", wait=True, dataset="digits")
    expect(page.locator(f"a[href='/jobs/{evaluation.id}']")).to_be_visible()
    page.get_by_label("Kind").select_option("evaluation")

    expect(page.locator(f"a[href='/jobs/{training.id}']")).to_have_count(0)
    page.locator(f"a[href='/jobs/{evaluation.id}']").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("Evaluation digits")
    expect(page.locator("#log")).to_contain_text("succeeded")
    expect(page.locator("#mistakes img").first).to_be_visible()


def test_a_comparison_is_shown_with_its_verdict_and_differing_crops(
    open_page: OpenPage, client: Client, trained: Job
) -> None:
    poor = client.train("compared", wait=True, dataset="digits", epochs=1, learning_rate=0.0001).version
    good = client.train("compared", wait=True, dataset="digits", epochs=3).version
    assert trained.state == "succeeded"
    assert poor is not None
    assert good is not None

    compared = client.compare("compared", good, poor, dataset="digits", repeats=2, wait=True)
    page = open_page(f"/jobs/{compared.id}")

    expect(page.locator("#outlook")).to_contain_text(f"Version {good} is better than version {poor}")
    expect(page.locator("#differences img")).to_have_count(12)
    expect(page.locator("#confusion-panel")).to_be_hidden()


def test_an_uploaded_version_is_shown_with_its_origin(
    open_page: OpenPage, client: Client, trained: Job, tmp_path: Path
) -> None:
    upload = client.upload(
        client.download_weights("digits", trained.version or "", tmp_path), "brought", wait=True
    )
    origin = "Uploaded by admin, not trained by this service; its accuracy is unknown until it is evaluated."

    page = open_page(f"/jobs/{upload.id}")
    expect(page.get_by_role("heading", level=1)).to_have_text("Upload brought")
    expect(page.locator("#outlook")).to_have_text(origin)
    expect(page.locator("#facts")).to_contain_text("Check crops with equal scores16")
    expect(page.locator("#actions a").first).to_have_attribute("href", "/?model=brought%401")

    page.goto(f"/jobs/{trained.id}")
    page.locator("#other").select_option("brought@1")
    expect(page.locator("#compared-with")).to_have_text(origin)

    client.delete_version("brought", 1)  # other tests of this service expect their own model as the newest


@pytest.mark.parametrize("width", [320, 360])
def test_the_numbers_of_the_confusion_matrix_fit_into_their_cells_on_a_telephone(
    open_page: OpenPage, trained: Job, width: int
) -> None:
    page = open_page("/jobs", viewport={"width": width, "height": 740})

    def with_numbers_of_mnist(route: Route) -> None:
        answer = route.fetch()
        job = answer.json()
        job["result"]["confusion"] = [[1135] * 10] * 10
        route.fulfill(response=answer, json=job)

    page.route(f"**/v1/jobs/{trained.id}", with_numbers_of_mnist)
    page.goto(f"/jobs/{trained.id}")
    expect(page.locator(".confusion td")).to_have_count(100)

    too_wide = page.locator(".confusion").evaluate(
        "(table) => [...table.querySelectorAll('td, th')].filter((cell) => cell.scrollWidth > cell.clientWidth).length"
    )
    page.unroute_all(behavior="ignoreErrors")  # the page may be asking once more while it is closed
    assert too_wide == 0


@pytest.mark.usefixtures("trained")
def test_the_chip_page_says_how_the_chip_is_and_who_used_it(open_page: OpenPage) -> None:
    page = open_page("/chip")

    expect(page.locator(".chip")).to_contain_text("ready")
    expect(page.locator(".chip")).to_contain_text("mock")
    expect(page.locator("#usage")).to_contain_text("admin")
    page.wait_for_function("() => document.querySelectorAll('#utilisation rect.column').length > 4")
    expect(page.locator("#queue")).to_contain_text("Pictures waiting")
    expect(page.locator("#crops-depth path.line")).to_have_attribute("d", re.compile("^M"))
    expect(page.locator("#chooser")).to_be_hidden()
    page.locator("#utilisation svg[role=img]").focus()
    page.keyboard.press("ArrowLeft")
    expect(page.locator("#utilisation .tip")).to_contain_text("Training")
    page.get_by_text("By user").click()
    expect(page.locator("#utilisation .legend")).to_contain_text("admin")


@pytest.mark.usefixtures("trained")
def test_a_lost_connection_is_shown_and_repaired(
    open_page: OpenPage, local: Local, tolerated: list[str]
) -> None:
    tolerated += ["Failed to load resource: net::ERR_"]
    page = open_page("/jobs")
    banner = page.locator("#connection")
    expect(page.locator("#jobs tbody tr").first).to_be_visible()

    os.kill(local.processes["api"].pid, signal.SIGKILL)
    expect(banner).to_contain_text("does not answer", timeout=15_000)
    local.processes["api"].revive()
    expect(banner).to_contain_text("is back", timeout=30_000)

    expect(banner).to_be_hidden(timeout=15_000)


def test_another_users_job_cannot_be_reached(
    open_page: OpenPage, client: Client, trained: Job, tolerated: list[str]
) -> None:
    tolerated.append("Failed to load resource: the server responded with a status of 404")
    token = client.users.add("ada")["token"]

    page = open_page("/jobs", token=token)
    expect(page.locator("#none")).to_be_visible()
    answer = page.goto(f"/jobs/{trained.id}")

    assert answer is not None
    assert answer.status == 404
    expect(page.get_by_role("alert")).to_contain_text("there is no job")


@pytest.mark.usefixtures("trained")
def test_a_running_letter_centre_is_shown_as_a_belt_that_moves(open_page: OpenPage, client: Client) -> None:
    page = open_page("/letters")
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    expect(page.locator("#none")).to_be_visible()

    client.tell_letters(BELT)
    expect(page.locator(".centre")).to_contain_text("to Heidelberg")
    expect(page.locator(".centre")).to_contain_text("80.0%")
    expect(page.locator(".reasons")).to_contain_text("not sure")
    page.evaluate("() => { document.querySelector('.letter').id = 'still-the-same'; }")
    client.tell_letters(BELT | {"done": 101, "recent": [LETTER, LETTER | {"number": 8, "written": "10115"}]})

    expect(page.locator(".letter").first).to_contain_text("written 10115")
    expect(page.locator(".letter").nth(1)).to_have_id("still-the-same")
    expect(page.locator(".centre")).to_contain_text("101 of 200")
    assert sum("/v1/" in url for url in asked) <= 1, (
        "the belt is told by events, not asked for again and again"
    )
