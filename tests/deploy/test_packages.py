"""What the chip's container lacks is added beside it; what it has stays as it is."""

import subprocess
import sys
import zipfile
from importlib import metadata
from pathlib import Path
from typing import Final

import pytest

from deploy.apptainer import packages
from deploy.apptainer.packages import PreparationError, constraints, install, prepare, wanted
from tests.deploy.conftest import ROOT

PRESENT: Final = {"torch": "2.4.0", "numpy": "1.26.4"}


@pytest.fixture
def index(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder in which pip looks for wheels, and nowhere else."""
    folder = tmp_path / "wheels"
    folder.mkdir()
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(folder))
    monkeypatch.setenv("PIP_CONFIG_FILE", "/dev/null")
    return folder


def _wheel(folder: Path, name: str, version: str, *requires: str) -> None:
    """A wheel of one module that says its version."""
    information = f"{name}-{version}.dist-info"
    needs = "".join(f"Requires-Dist: {requirement}\n" for requirement in requires)
    with zipfile.ZipFile(folder / f"{name}-{version}-py3-none-any.whl", "w") as wheel:
        wheel.writestr(f"{name}.py", f"version = {version!r}\n")
        wheel.writestr(
            f"{information}/METADATA", f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n{needs}"
        )
        wheel.writestr(
            f"{information}/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
        )
        wheel.writestr(f"{information}/RECORD", "")


def test_only_what_is_not_there_at_all_is_wanted() -> None:
    assert wanted(["torch>=2.9", "celery[redis]>=5.7", "Num.Py>=2"], PRESENT | {"num-py": "1"}) == [
        "celery[redis]>=5.7"
    ]


def test_what_is_there_is_held_and_what_is_not_comes_as_it_is_tested() -> None:
    ours = ["# a remark", "celery==5.7.0", "torch==2.13.0", "torchvision==0.28.0"]

    assert constraints(ours, PRESENT) == ["numpy==1.26.4", "torch==2.4.0", "celery==5.7.0"]


def test_what_is_missing_comes_with_all_that_it_needs_and_nothing_that_is_there(
    index: Path, tmp_path: Path
) -> None:
    _wheel(index, "queuer", "5.7", "carrier>=1", "pytest>=1")
    _wheel(index, "carrier", "1.5")
    _wheel(index, "carrier", "2.0")
    _wheel(index, "pytest", "999.0")

    done = install(["queuer>=5"], tmp_path / "packages", [f"pytest=={pytest.__version__}", "carrier==1.5"])

    assert done == ["carrier==1.5", "queuer==5.7"]
    assert sorted(path.name for path in (tmp_path / "packages").glob("*.py")) == ["carrier.py", "queuer.py"]


def test_packages_that_do_not_go_with_the_container_are_refused_with_pips_reason(
    index: Path, tmp_path: Path
) -> None:
    _wheel(index, "queuer", "5.7", "pytest>=999")

    with pytest.raises(PreparationError, match=r"pytest"):
        install(["queuer"], tmp_path / "packages", [f"pytest=={pytest.__version__}"])

    assert not (tmp_path / "packages").exists()


def test_a_container_without_hxtorch_is_refused(tmp_path: Path) -> None:
    with pytest.raises(PreparationError, match="hxtorch cannot be imported here"):
        prepare(tmp_path / "packages")

    assert not (tmp_path / "packages").exists()


def test_a_container_that_has_all_is_left_as_it_is(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Here everything is installed but hxtorch, so that nothing is left to install once that is there."""
    library = tmp_path / "library"
    (library / "hxtorch").mkdir(parents=True)
    (library / "hxtorch/__init__.py").touch()
    (library / "hxtorch/perceptron.py").touch()
    monkeypatch.setenv("PYTHONPATH", str(library))

    assert prepare(tmp_path / "packages") == []
    [project] = metadata.distributions(path=[str(tmp_path / "packages")])
    assert (project.metadata["Name"], project.version) == (
        "hxserve-server",
        metadata.version("hxserve-server"),
    )
    assert not list((tmp_path / "packages").glob("*.py"))


def test_the_worker_finds_all_it_asks_for_named_in_the_project() -> None:
    asked = {packages.name_of(line) for line in packages.requirements_of_worker(ROOT / "pyproject.toml")}

    assert {"celery", "redis", "pydantic", "torch", "safetensors"} <= asked


def test_it_runs_where_nothing_is_installed(tmp_path: Path) -> None:
    command = [
        sys.executable,
        "-I",
        "-S",
        str(ROOT / "deploy/apptainer/packages.py"),
        str(tmp_path / "packages"),
    ]

    done = subprocess.run(command, capture_output=True, text=True, check=False)

    assert done.returncode == 1
    assert "hxtorch cannot be imported here" in done.stderr
