"""Every image that docker-compose.yml starts from can be built here, except the one that Debian does not have."""

import os
import re
import subprocess
from pathlib import Path
from typing import Final

from tests.deploy.conftest import ROOT

SCRIPT: Final = ROOT / "tests/compose/images.sh"
NOT_IN_DEBIAN: Final = {"GRAFANA_IMAGE", "JAEGER_IMAGE"}


def _run(path: Path, **variables: str) -> "subprocess.CompletedProcess[str]":
    """Run the script with the programs in `path` only."""
    (path / "dirname").symlink_to("/usr/bin/dirname")
    return subprocess.run(
        ["/bin/sh", str(SCRIPT)],
        env=os.environ | {"PATH": str(path)} | variables,
        capture_output=True,
        text=True,
        check=False,
    )


def test_every_image_of_the_compose_file_is_built() -> None:
    wanted = set(re.findall(r"\$\{(\w+_IMAGE):-", (ROOT / "docker-compose.yml").read_text("utf-8")))
    script = SCRIPT.read_text("utf-8")

    tags = dict(re.findall(r"^image (\w+) (\S+) ", script, re.MULTILINE))
    [redis_version] = re.findall(r"^echo REDIS_VERSION=(\S+)", script, re.MULTILINE)

    assert set(tags) == wanted - NOT_IN_DEBIAN
    assert tags["REDIS_IMAGE"].endswith(f":{redis_version}")
    assert all(tag.startswith("hxserve-local/") for tag in tags.values())


def test_a_missing_tool_is_named_before_anything_is_built(tmp_path: Path) -> None:
    done = _run(tmp_path)

    assert (done.returncode, done.stdout) == (1, "")
    assert "debootstrap is not installed" in done.stderr


def test_wheels_are_not_fetched_for_another_python_than_the_images_have(tmp_path: Path) -> None:
    for tool in ("debootstrap", "docker", "tar"):
        (tmp_path / tool).touch(0o755)

    done = _run(tmp_path, PYTHON="/bin/false")

    assert (done.returncode, done.stdout) == (1, "")
    assert "the images have 3.11; set PYTHON to a 3.11" in done.stderr
