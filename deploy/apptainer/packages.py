"""Install the packages of the worker that the chip's software container lacks into a folder; `prepare.sh` runs this.

The standard library is all that it imports, because nothing else of hxserve is there yet. What the container has is
neither installed again nor in another version: its torch, hxtorch and numpy are built for each other.
"""

import argparse
import json
import re
import shutil
import subprocess
import sys
import tempfile
import tomllib
from collections.abc import Iterable, Mapping, Sequence
from importlib import metadata
from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).resolve().parent.parent.parent
BESIDE: Final = frozenset({"hxtorch-emulator"})
"""Packages in this checkout, which are found through PYTHONPATH."""
FOLLOWS_TORCH: Final = frozenset({"torchvision"})
"""Packages whose release has to fit the container's torch instead of the one in constraints.txt."""
_IMPORTS: Final = "import hxtorch, hxtorch.perceptron, torch, numpy; print(torch.__file__, numpy.__file__)"
_NAME: Final = re.compile(r"[A-Za-z0-9._-]+")
_REASON: Final = re.compile(r"ERROR|conflict|depends on|requested")
"""Lines of pip's output with the reason why it finds no packages."""


class PreparationError(Exception):
    """The container cannot run a worker."""


def name_of(requirement: str) -> str:
    """Return the normalized name of the distribution that a requirement asks for."""
    found = _NAME.match(requirement)
    if found is None:
        raise PreparationError(f"{requirement!r} names no package; mend pyproject.toml")
    return re.sub(r"[-_.]+", "-", found[0]).lower()


def requirements_of_worker(pyproject: Path) -> list[str]:
    """Return the requirements of the worker from pyproject.toml."""
    project = tomllib.loads(pyproject.read_text("utf-8"))["project"]
    required = [*project["dependencies"], *project["optional-dependencies"]["worker"]]
    return [requirement for requirement in required if name_of(requirement) not in BESIDE]


def constraints(ours: Iterable[str], present: Mapping[str, str]) -> list[str]:
    """Return constraints that keep each present package as it is, and pin the others to the tested versions."""
    kept = [f"{name}=={version}" for name, version in sorted(present.items())]
    pinned = [line.strip() for line in ours if line.strip() and not line.startswith("#")]
    return kept + [line for line in pinned if name_of(line) not in present.keys() | FOLLOWS_TORCH]


def wanted(requirements: Iterable[str], present: Mapping[str, str]) -> list[str]:
    """Return the requirements of which no version is present."""
    return [requirement for requirement in requirements if name_of(requirement) not in present]


def install(requirements: Sequence[str], target: Path, limits: Sequence[str]) -> list[str]:
    """Install requirements with their dependencies, without packages that are present.

    Returns:
        The installed packages as `name==version`.

    Raises:
        PreparationError: pip finds no set of packages that fits the container.
    """
    if not requirements:
        return []
    with tempfile.TemporaryDirectory() as folder:
        held, report = Path(folder) / "constraints.txt", Path(folder) / "report.json"
        held.write_text("\n".join(limits))
        _pip("--dry-run", "--report", str(report), "--constraint", str(held), *requirements)
        plan = json.loads(report.read_text("utf-8"))
    chosen = [f"{entry['metadata']['name']}=={entry['metadata']['version']}" for entry in plan["install"]]
    if chosen:
        # Without dependencies: pip ignores what is installed outside a target folder, and would bring a second torch.
        _pip("--quiet", "--no-deps", "--target", str(target), *chosen)
    return sorted(chosen)


def _pip(*arguments: str) -> None:
    command = [sys.executable, "-m", "pip", "install", "--disable-pip-version-check", *arguments]
    done = subprocess.run(command, capture_output=True, text=True, check=False)  # noqa: S603 our own command
    if done.returncode:
        reasons = [line for line in (done.stdout + done.stderr).splitlines() if _REASON.search(line)]
        raise PreparationError("pip finds nothing that fits this container:\n" + "\n".join(reasons))


def _locate_torch(path: Sequence[Path] = ()) -> str:
    """Return the files of torch and numpy once hxtorch is imported, with these folders first on the path.

    Raises:
        PreparationError: hxtorch cannot be imported.
    """
    program = f"import sys; sys.path[:0] = {[str(folder) for folder in path]!r}; {_IMPORTS}"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)  # noqa: S603 the same
    if done.returncode:
        raise PreparationError(
            "hxtorch cannot be imported here; run this in the software container of the chip, with the "
            f"application that has it:\n{done.stderr.strip()}"
        )
    return done.stdout


def _describe_project(pyproject: Path, target: Path) -> None:
    """Make the version of this project known to Python, although its source is elsewhere."""
    project = tomllib.loads(pyproject.read_text("utf-8"))["project"]
    name, version = project["name"], project["version"]
    folder = target / f"{name.replace('-', '_')}-{version}.dist-info"
    folder.mkdir()
    (folder / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n", "utf-8")


def prepare(target: Path) -> list[str]:
    """Replace the content of a folder; return the installed packages.

    Raises:
        PreparationError: the container has no hxtorch, or its packages and those of the worker conflict.
    """
    before = _locate_torch()
    present = {name_of(found.metadata["Name"]): found.version for found in metadata.distributions()}
    limits = constraints((ROOT / "constraints.txt").read_text("utf-8").splitlines(), present)
    unfinished = target.with_name(f"{target.name}.unfinished")
    shutil.rmtree(unfinished, ignore_errors=True)
    unfinished.mkdir(parents=True)
    done = install(wanted(requirements_of_worker(ROOT / "pyproject.toml"), present), unfinished, limits)
    _describe_project(ROOT / "pyproject.toml", unfinished)
    if _locate_torch([unfinished]) != before:
        raise PreparationError(
            f"torch or numpy would come from {unfinished}; please report what was installed: {done}"
        )
    shutil.rmtree(target, ignore_errors=True)
    unfinished.rename(target)
    return done


def main(arguments: Sequence[str] | None = None) -> int:
    """Prepare the folder and print the installed packages; return the exit status."""
    parser = argparse.ArgumentParser("packages.py", description=__doc__)
    parser.add_argument("target", type=Path, help="the folder; its content is replaced")
    options = parser.parse_args(arguments)
    try:
        done = prepare(options.target)
    except PreparationError as error:
        print(f"prepare: {error}", file=sys.stderr)  # noqa: T201 the reason for stopping
        return 1
    print(f"installed in {options.target}: {', '.join(done) or 'nothing, all is there'}")  # noqa: T201 the output
    return 0


if __name__ == "__main__":
    sys.exit(main())
