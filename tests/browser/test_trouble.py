"""What goes wrong is said where it happens, in the reader's words, and mended where it can be."""

import os
import signal
from pathlib import Path

import pytest
from playwright.sync_api import expect

from deploy.local import Local
from hxserve import Client
from hxserve.jobs import Job
from tests.browser.conftest import TRAINING, OpenPage
from tests.browser.test_draw import ONE, ZERO, draw_by_mouse

pytestmark = pytest.mark.long

TOO_MANY = "Failed to load resource: the server responded with a status of 429"
UNKNOWN = "Failed to load resource: the server responded with a status of 404"
NOT_SIGNED_IN = "Failed to load resource: the server responded with a status of 401"


@pytest.mark.usefixtures("trained")
def test_a_chip_that_does_not_answer_is_waited_for(open_page: OpenPage, client: Client, local: Local) -> None:
    page = open_page("/?model=digits@1")
    expect(page.locator("#model")).to_have_value("digits@1")
    worker = local.processes["worker"].pid

    os.kill(worker, signal.SIGSTOP)
    try:
        draw_by_mouse(page, ONE)
        expect(page.locator("#note")).to_contain_text("has not answered yet")
        expect(page.locator("#problem")).to_contain_text("Trying again", timeout=20_000)
        expect(page.locator("#sure")).to_have_text("Not read yet")
    finally:
        os.kill(worker, signal.SIGCONT)

    expect(page.locator("#digit")).to_have_text("1", timeout=30_000)
    expect(page.locator("#problem")).to_be_hidden()
    expect(page.locator("#note")).to_be_hidden()
    assert [job.id for job in client.jobs(state="queued")] == [], "a picture that nobody waits for is no job"


@pytest.mark.usefixtures("trained")
def test_an_interface_that_is_away_is_tried_again_while_one_draws(
    open_page: OpenPage, local: Local, tolerated: list[str]
) -> None:
    tolerated.append("Failed to load resource: net::ERR_")
    page = open_page()
    draw_by_mouse(page, ONE)
    expect(page.locator("#digit")).to_have_text("1")

    os.kill(local.processes["api"].pid, signal.SIGKILL)
    draw_by_mouse(page, ZERO)
    expect(page.locator("#problem")).to_contain_text("does not answer", timeout=15_000)
    local.processes["api"].revive()

    expect(page.locator("#problem")).to_be_hidden(timeout=30_000)
    expect(page.locator("#connection")).to_be_hidden(timeout=15_000)


@pytest.mark.usefixtures("trained")
def test_a_model_that_was_deleted_is_replaced_by_another(
    open_page: OpenPage, client: Client, tolerated: list[str]
) -> None:
    tolerated.append(UNKNOWN)
    client.train("gone", wait=True, **TRAINING)
    page = open_page("/?model=gone@1")
    expect(page.locator("#model")).to_have_value("gone@1")

    client.delete_version("gone", 1)
    draw_by_mouse(page, ONE)

    expect(page.locator("#note")).to_contain_text("gone 1 (latest) is no longer there")
    expect(page.locator("#model")).not_to_have_value("gone@1")
    expect(page.locator("#digit")).not_to_have_text("?")


@pytest.mark.usefixtures("trained")
def test_a_quota_that_is_used_up_is_said_in_the_readers_language(
    open_page: OpenPage, client: Client, tolerated: list[str]
) -> None:
    tolerated.append(TOO_MANY)
    token = client.users.add("grace", quotas={"chip_seconds_per_day": 0.0})["token"]

    page = open_page("/", token=token, locale="de")
    draw_by_mouse(page, ONE)
    expect(page.get_by_role("alert")).to_contain_text("Dein Kontingent ist aufgebraucht")
    page.goto("/train")
    page.get_by_role("button", name="Training starten").click()

    expect(page.get_by_role("alert")).to_contain_text("Dein Kontingent ist aufgebraucht")
    expect(page.get_by_role("button", name="Training starten")).to_be_enabled()


@pytest.mark.usefixtures("trained")
def test_who_is_shut_out_while_drawing_is_asked_to_sign_in_again(
    open_page: OpenPage, client: Client, tolerated: list[str]
) -> None:
    tolerated.append(NOT_SIGNED_IN)
    token = client.users.add("joan")["token"]
    page = open_page("/?model=digits@1", token=token)
    expect(page.locator("#model")).to_have_value("digits@1")

    client.users.change("joan", disabled=True)
    page.wait_for_timeout(1500)  # tokens are remembered for a second
    draw_by_mouse(page, ONE)

    expect(page.get_by_text("Your session has ended")).to_be_visible()
    client.users.change("joan", disabled=False)
    page.wait_for_timeout(1500)
    page.get_by_label("Token").fill(token)
    page.get_by_role("button", name="Sign in").click()
    expect(page.locator("#model")).to_have_value("digits@1")


def test_a_failed_job_says_why_in_the_readers_language(
    open_page: OpenPage, client: Client, trained: Job, local: Local
) -> None:
    del local
    evaluation = client.evaluate("digits", dataset="mnist")
    page = open_page(f"/jobs/{evaluation.id}", locale="de")

    expect(page.locator("#state")).to_contain_text("fehlgeschlagen", timeout=20_000)

    expect(page.get_by_role("alert")).to_contain_text("Der Datensatz ist nicht da")
    assert trained.state == "succeeded"


def test_a_picture_that_cannot_be_read_is_refused_in_the_readers_language(
    open_page: OpenPage, tmp_path: Path, tolerated: list[str]
) -> None:
    tolerated.append("Failed to load resource: the server responded with a status of 422")
    (tmp_path / "note.png").write_text("not a picture")
    page = open_page(locale="de")

    page.locator("#photo").set_input_files(tmp_path / "note.png")

    expect(page.get_by_role("alert")).to_contain_text("Das Bild lässt sich nicht lesen")
