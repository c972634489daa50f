"""What pages offer to do elsewhere does it: the texts are run as they are shown, in Python, in a shell, with curl."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from PIL import Image
from playwright.sync_api import Page, expect

from deploy.local import Local
from hxserve import Client
from hxserve.jobs import Job
from tests.browser.conftest import OpenPage
from tests.needs import needed

pytestmark = pytest.mark.long

PATHS = [
    *("/?model=digits@{version}", "/models", "/jobs", "/jobs/{job}", "/chip", "/datasets"),
    *("/corrections", "/classes", "/me", "/admin"),
]


def _texts(page: Page) -> dict[str, str]:
    page.locator("#snippets summary").click()
    expect(page.locator("#snippets pre").first).not_to_be_empty()
    return {way: page.locator(f"[data-way={way}] pre").inner_text() for way in ("python", "shell", "curl")}


def _run(local: Local, folder: Path, *command: str) -> str:
    variables = {"HXSERVE_TOKEN": local.token, "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}"}
    done = subprocess.run(
        command,
        cwd=folder,
        env=os.environ | variables,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, (command, done.stdout, done.stderr)
    return done.stdout


@pytest.fixture
def folder(tmp_path: Path, client: Client) -> Path:
    """Where the texts are run, with a picture to read."""
    pixels = bytes(client.sample(7)["pixels"])
    Image.frombytes("L", (28, 28), pixels).save(tmp_path / "digit.png")
    return tmp_path


@pytest.mark.parametrize("path", PATHS)
def test_a_pages_texts_run_as_they_are_shown(
    open_page: OpenPage, local: Local, trained: Job, folder: Path, path: str
) -> None:
    curl = needed(shutil.which("curl"), "there is no curl")
    page = open_page(path.format(version=trained.result["version"], job=trained.id))
    if "model=" in path:
        expect(page.locator("#model")).to_have_value(f"digits@{trained.result['version']}")

    texts = _texts(page)

    assert local.token not in str(texts)
    assert _run(local, folder, sys.executable, "-c", texts["python"]).strip()
    assert _run(local, folder, "sh", "-c", texts["shell"]).strip()
    answer = _run(local, folder, "sh", "-c", texts["curl"].replace("curl ", f"{curl} -fsS ", 1))
    assert answer.startswith("{")


def test_a_training_as_it_is_filled_in_is_submitted_by_each_text(
    open_page: OpenPage, local: Local, client: Client, folder: Path
) -> None:
    page = open_page("/train", locale="de", viewport={"width": 360, "height": 740})
    page.get_by_role("radio", name="Mein eigenes").check()
    page.locator("#model").fill("by-snippet")
    page.locator("#dataset").select_option("digits")
    page.locator("#epochs").fill("1")
    page.locator("#hidden").fill("20, 30")
    texts = _texts(page)
    page.locator("#seed").fill("5")
    expect(page.locator("[data-way=curl] pre")).to_contain_text('"seed":5')
    assert page.evaluate("document.documentElement.scrollWidth") <= 360

    _run(local, folder, sys.executable, "-c", texts["python"])
    _run(local, folder, "sh", "-c", texts["shell"])
    _run(local, folder, "sh", "-c", texts["curl"])

    made = [job for job in client.jobs(kind="training") if job.model == "by-snippet"]
    assert len(made) == 3
    assert {str(job.params) for job in made} == {str(made[0].params)}
    assert made[0].params["network"]["hidden"] == [20, 30]
    for job in made:
        client.wait(job)
