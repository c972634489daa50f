"""The documentation becomes pages without a warning, with the reference, and loads nothing from elsewhere."""

import re
import signal
import subprocess
import sys
from pathlib import Path

import pytest
import urllib3
from click.testing import CliRunner

import hxserve
from hxserve.cli import cli
from hxserve.cli.guidance import leaves
from tests.docs.blocks import ROOT

pytestmark = pytest.mark.long


@pytest.fixture(scope="module")
def pages(tmp_path_factory: pytest.TempPathFactory) -> Path:
    target = tmp_path_factory.mktemp("pages")
    command = [
        sys.executable,
        "-m",
        "sphinx",
        "--quiet",
        "--fail-on-warning",
        "--keep-going",
        "docs",
        str(target),
    ]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    return target


def test_the_reference_has_every_public_name_and_every_command(pages: Path) -> None:
    client = (pages / "reference" / "client.html").read_text("utf-8")
    commands = (pages / "reference" / "commands.html").read_text("utf-8")

    names = {f'id="hxserve.{name}"' for name in hxserve.__all__ if not name.endswith("Error")}
    errors = {f'id="hxserve.errors.{name}"' for name in hxserve.__all__ if name.endswith("Error")}
    assert [name for name in names | errors if name not in client] == []
    assert [words for words, _ in leaves(cli) if f"hxserve {words}" not in commands] == []


def test_the_pages_load_nothing_from_elsewhere(pages: Path) -> None:
    loaded = re.compile(
        r"""(?:<script[^>]*\ssrc=|<img[^>]*\ssrc=|<link[^>]*rel="stylesheet"[^>]*href=|url\(|@import\s)["']?(https?:|//)"""
    )

    foreign = [
        path
        for path in pages.rglob("*.*")
        if path.suffix in {".html", ".css"} and loaded.search(path.read_text())
    ]

    assert foreign == []


def test_the_command_serves_the_pages(pages: Path, tmp_path: Path) -> None:
    target = tmp_path / "site"
    target.symlink_to(pages)
    command = [
        sys.executable,
        "-m",
        "hxserve",
        "docs",
        "--no-open",
        "--source",
        "docs",
        "--output",
        str(target),
    ]

    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) as serving:
        assert serving.stdout is not None
        url = re.search(r"http://\S+/", serving.stdout.readline())
        try:
            assert url is not None
            with urllib3.PoolManager() as pool:
                answer = pool.request("GET", f"{url[0]}reference/client.html")
        finally:
            serving.send_signal(signal.SIGINT)

    assert answer.status == 200
    assert b"hxserve.Client.train" in answer.data


def test_without_its_libraries_the_command_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "furo", None)

    result = CliRunner().invoke(cli, ["docs", "--build-only"])

    assert result.exit_code == 1
    assert "pip install 'hxserve[docs]'" in result.stderr
