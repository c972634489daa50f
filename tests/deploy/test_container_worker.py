"""The wrapper that starts a worker in the chip's container: what it hands to Apptainer, and what it refuses."""

import os
import subprocess
from pathlib import Path
from typing import Final

import pytest

from tests.deploy.conftest import ROOT

WORKER: Final = ROOT / "deploy/apptainer/worker.sh"
APPTAINER: Final = """#!/bin/sh
# Stands for Apptainer: says what it was asked for, and runs the command where it is.
printf '%s\\n' "$@" > "$SAID"
while [ "$1" != "$CHIP_CONTAINER" ]; do shift; done
shift
exec "$@"
"""
PYTHON: Final = """#!/bin/sh
# Stands for the container's Python: imports hxtorch or not, and says how the worker would be started.
case "$1" in
  -c) exit "${WITHOUT_HXTORCH:-0}";;
esac
echo "PYTHONPATH=$PYTHONPATH HXSERVE_CHIP=$HXSERVE_CHIP $*"
"""


@pytest.fixture
def environment(tmp_path: Path) -> dict[str, str]:
    """A host with a stand-in for Apptainer, an image and a folder of packages."""
    programs = tmp_path / "bin"
    programs.mkdir()
    for name, text in (("apptainer", APPTAINER), ("python3", PYTHON)):
        (programs / name).write_text(text)
        (programs / name).chmod(0o755)
    for folder in ("packages", "data", "mnist"):
        (tmp_path / folder).mkdir()
    (tmp_path / "image.sif").touch()
    kept = {name: value for name, value in os.environ.items() if not name.startswith("HXSERVE_")}
    return kept | {
        "PATH": f"{programs}:{os.environ['PATH']}",
        "SAID": str(tmp_path / "said"),
        "CHIP_CONTAINER": str(tmp_path / "image.sif"),
        "CHIP_PACKAGES": str(tmp_path / "packages"),
        "HXSERVE_DATA_DIR": str(tmp_path / "data"),
        "HXSERVE_MNIST": str(tmp_path / "mnist"),
        "PYTHONPATH": "/of/the/container",
    }


def _start(environment: dict[str, str], *arguments: str) -> "subprocess.CompletedProcess[str]":
    command = ["sh", str(WORKER), *arguments]
    return subprocess.run(command, env=environment, capture_output=True, text=True, check=False)


def test_the_worker_runs_in_the_container_with_what_it_lacks(environment: dict[str, str]) -> None:
    done = _start(environment, "--standby")

    assert done.returncode == 0, done.stderr
    path = f"{environment['CHIP_PACKAGES']}:{ROOT}:{ROOT}/emulator:/of/the/container"
    assert done.stdout == f"PYTHONPATH={path} HXSERVE_CHIP=hxtorch -P -m worker --standby\n"


def test_the_container_sees_the_folders_that_the_worker_needs(environment: dict[str, str]) -> None:
    _start(environment | {"CHIP_CONTAINER_APP": "an app"})

    said = Path(environment["SAID"]).read_text().splitlines()
    options = said[: said.index(environment["CHIP_CONTAINER"])]
    assert options[0] == "exec"
    bound = {options[place + 1] for place, word in enumerate(options) if word == "--bind"}
    assert bound == {
        str(ROOT),
        *(environment[name] for name in ("CHIP_PACKAGES", "HXSERVE_DATA_DIR", "HXSERVE_MNIST")),
    }
    assert options[options.index("--app") + 1] == "an app"


def test_without_hxtorch_no_worker_is_started(environment: dict[str, str]) -> None:
    done = _start(environment | {"WITHOUT_HXTORCH": "1"})

    assert done.returncode == 1
    assert "hxtorch cannot be imported in this container" in done.stderr
    assert done.stdout == ""


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"CHIP_CONTAINER": ""}, "CHIP_CONTAINER is not set"),
        ({"CHIP_CONTAINER": "/no/image.sif"}, "there is no /no/image.sif"),
        ({"CHIP_PACKAGES": "/no/packages"}, "run deploy/apptainer/prepare.sh first"),
        ({"PATH": "/nowhere"}, "neither apptainer nor singularity"),
    ],
)
def test_what_is_missing_is_told(environment: dict[str, str], changed: dict[str, str], said: str) -> None:
    if "PATH" in changed:
        programs = Path(environment["SAID"]).parent / "few"
        programs.mkdir()
        for name in ("dirname", "sh"):
            (programs / name).symlink_to(f"/usr/bin/{name}")
        changed = {"PATH": str(programs)}

    done = _start(environment | changed)

    assert done.returncode == 1
    assert said in done.stderr
