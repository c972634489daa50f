"""The images made here stand for all that docker-compose.yml builds on, but the one that Debian does not have."""

import re
from pathlib import Path
from typing import Final

import pytest

from deploy import local_images
from deploy.local_images import variables
from tests.deploy.conftest import ROOT

NOT_IN_DEBIAN: Final = {"GRAFANA_IMAGE"}


def test_every_image_that_is_built_on_has_one_made_here() -> None:
    named = set(re.findall(r"\$\{(\w+_IMAGE):-", (ROOT / "docker-compose.yml").read_text("utf-8")))

    told = dict(line.split("=") for line in variables().splitlines())

    assert named - NOT_IN_DEBIAN == {name for name in told if name.endswith("_IMAGE")}
    assert told["REDIS_IMAGE"].endswith(f":{told['REDIS_VERSION']}")
    assert all(told[name].startswith("hxserve-local/") for name in named - NOT_IN_DEBIAN)


def test_a_missing_tool_is_named_before_anything_is_made(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("PATH", "/nowhere")

    assert local_images.main([]) == 1
    assert "not installed here: debootstrap, docker, tar" in capsys.readouterr().err


def test_wheels_are_not_fetched_for_another_python_than_the_images_have(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    for tool in ("debootstrap", "docker", "tar"):
        (tmp_path / tool).touch(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr(local_images, "PYTHON", (2, 7))

    assert local_images.main([]) == 1
    assert "the images have 2.7; run this with the latter" in capsys.readouterr().err
