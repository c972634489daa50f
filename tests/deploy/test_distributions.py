"""What is built from this checkout, and what an installed client needs and occupies."""

import re
import subprocess
import sys
import zipfile
from importlib import metadata
from pathlib import Path
from typing import Final

import pytest

from tests.deploy.conftest import ROOT

PACKAGES: Final = {
    "": {"api", "deploy", "services", "worker"},
    "client": {"hxserve"},
    "emulator": {"hxtorch_emulator"},
    "letters": {"hxserve_letters"},
    "pictures": {"hxserve_pictures"},
    "planner": {"hxserve_planner"},
}
"""What each distribution occupies in site-packages, by its folder."""


def _wheel(folder: str, target: Path) -> Path:
    subprocess.run(
        [sys.executable, "-m", "hatchling", "build", "--target", "wheel", "--directory", str(target)],
        cwd=ROOT / folder,
        check=True,
        capture_output=True,
    )
    [wheel] = target.glob("*.whl")
    return wheel


def _names_in(wheel: Path) -> list[str]:
    with zipfile.ZipFile(wheel) as archive:
        return archive.namelist()


@pytest.mark.parametrize("folder", PACKAGES)
def test_a_wheel_occupies_its_own_packages_alone(folder: str, tmp_path: Path) -> None:
    names = _names_in(_wheel(folder, tmp_path))

    assert {name.split("/")[0] for name in names if ".dist-info/" not in name} == PACKAGES[folder]


def test_the_servers_wheel_has_the_scripts_of_redis_and_the_page(tmp_path: Path) -> None:
    names = set(_names_in(_wheel("", tmp_path)))

    for kind in ("services/**/*.lua", "api/templates/**/*.html", "api/static/**/*.js", "api/*.toml"):
        here = {str(path.relative_to(ROOT)) for path in ROOT.glob(kind)}
        assert here
        assert here <= names


@pytest.fixture(scope="module")
def bare(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Site-packages with the client's wheel and what it asks for, and nothing else."""
    folder = tmp_path_factory.mktemp("bare") / "site-packages"
    with zipfile.ZipFile(_wheel("client", folder.parent)) as archive:
        archive.extractall(folder)
    for name in _needed_by("hxserve") - {"hxserve"}:
        for file in metadata.files(name) or ():
            top = file.parts[0]
            if top not in {"..", "__pycache__"} and not (folder / top).exists():
                (folder / top).symlink_to(Path(str(metadata.distribution(name).locate_file(top))))
    return folder


def _needed_by(name: str) -> set[str]:
    """This distribution and all that it asks for without extras."""
    found, waiting = set(), [name]
    while waiting:
        name = waiting.pop()
        if name not in found:
            found.add(name)
            asked = [line for line in metadata.requires(name) or () if ";" not in line]
            waiting += [re.split(r"[^\w.-]", line, maxsplit=1)[0] for line in asked]
    return found


def _run(bare: Path, program: str, *arguments: str) -> "subprocess.CompletedProcess[str]":
    command = [sys.executable, "-S", "-c", program, *arguments]
    return subprocess.run(
        command, env={"PYTHONPATH": str(bare)}, cwd=bare.parent, capture_output=True, text=True, check=False
    )


def test_the_client_works_alone(bare: Path) -> None:
    main = "from hxserve.cli import main; main()"
    others = ["api", "client", "deploy", "services", "worker", "flask", "redis", "torch"]

    imported = _run(
        bare, f"import hxserve; from importlib.util import find_spec; print([*map(find_spec, {others})])"
    )
    version = _run(bare, main, "--version")
    letters = _run(bare, main, "letters", "--letters", "3")

    assert imported.stdout == f"{[None] * len(others)}\n", imported.stderr
    assert version.stdout == f"hxserve {metadata.version('hxserve')}\n", version.stderr
    assert letters.returncode == 1
    assert "pip install hxserve-letters" in letters.stderr
