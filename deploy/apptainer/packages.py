"""Puts into one folder what the worker needs and the chip's software container lacks; run by `prepare.sh` in it.

It imports the standard library alone, as nothing else of ours is there yet. Nothing that is in the container is
installed again or in another version: its torch, hxtorch and numpy are built for each other.
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
"""What lies beside the worker's source, and is found through PYTHONPATH as that is."""
FOLLOWS_TORCH: Final = frozenset({"torchvision"})
"""Which release of these fits is decided by the container's torch, not by ours."""
_IMPORTS: Final = "import hxtorch, hxtorch.perceptron, torch, numpy; print(torch.__file__, numpy.__file__)"
_NAME: Final = re.compile(r"[A-Za-z0-9._-]+")
_REASON: Final = re.compile(r"ERROR|conflict|depends on|requested")
"""Lines of pip's output that say why it finds nothing."""


class PreparationError(Exception):
    """The container cannot run a worker."""


def name_of(requirement: str) -> str:
    """The distribution that a requirement asks for, in its normal form."""
    found = _NAME.match(requirement)
    if found is None:
        raise PreparationError(f"{requirement!r} names no package; mend pyproject.toml")
    return re.sub(r"[-_.]+", "-", found[0]).lower()


def requirements_of_worker(pyproject: Path) -> list[str]:
    """What the worker asks for, from the project's own file."""
    project = tomllib.loads(pyproject.read_text("utf-8"))["project"]
    asked = [*project["dependencies"], *project["optional-dependencies"]["worker"]]
    return [requirement for requirement in asked if name_of(requirement) not in BESIDE]


def installed() -> dict[str, str]:
    """Versions of what is in the container, by name."""
    return {name_of(found.metadata["Name"]): found.version for found in metadata.distributions()}


def constraints(ours: Iterable[str], present: Mapping[str, str]) -> list[str]:
    """What is there stays as it is; what is not comes in the version that we test with."""
    kept = [f"{name}=={version}" for name, version in sorted(present.items())]
    pinned = [line.strip() for line in ours if line.strip() and not line.startswith("#")]
    return kept + [line for line in pinned if name_of(line) not in present.keys() | FOLLOWS_TORCH]


def wanted(requirements: Iterable[str], present: Mapping[str, str]) -> list[str]:
    """The requirements of which there is nothing at all."""
    return [requirement for requirement in requirements if name_of(requirement) not in present]


def install(requirements: Sequence[str], target: Path, limits: Sequence[str]) -> list[str]:
    """Installs these and what they need in turn, but nothing that is there; what was installed, as `name==version`.

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
        # Without dependencies: pip looks at nothing outside a target folder, and would bring a second torch.
        _pip("--quiet", "--no-deps", "--target", str(target), *chosen)
    return sorted(chosen)


def _pip(*arguments: str) -> None:
    command = [sys.executable, "-m", "pip", "install", "--disable-pip-version-check", *arguments]
    done = subprocess.run(command, capture_output=True, text=True, check=False)  # noqa: S603 our own command
    if done.returncode:
        reasons = [line for line in (done.stdout + done.stderr).splitlines() if _REASON.search(line)]
        raise PreparationError("pip finds nothing that fits this container:\n" + "\n".join(reasons))


def look_at_hxtorch(path: Sequence[Path] = ()) -> str:
    """Where torch and numpy come from once hxtorch is imported, with these folders before all others.

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


def describe_project(pyproject: Path, target: Path) -> None:
    """Lets Python find the version of this project, whose source lies elsewhere, as if it were installed."""
    project = tomllib.loads(pyproject.read_text("utf-8"))["project"]
    folder = target / f"{project['name'].replace('-', '_')}-{project['version']}.dist-info"
    folder.mkdir()
    (folder / "METADATA").write_text(
        f"Metadata-Version: 2.1\nName: {project['name']}\nVersion: {project['version']}\n", "utf-8"
    )


def prepare(target: Path) -> list[str]:
    """Fills the folder anew; what was installed.

    Raises:
        PreparationError: the container has no hxtorch, or its packages and ours do not go together.
    """
    before = look_at_hxtorch()
    present = installed()
    limits = constraints((ROOT / "constraints.txt").read_text("utf-8").splitlines(), present)
    unfinished = target.with_name(f"{target.name}.unfinished")
    shutil.rmtree(unfinished, ignore_errors=True)
    unfinished.mkdir(parents=True)
    done = install(wanted(requirements_of_worker(ROOT / "pyproject.toml"), present), unfinished, limits)
    describe_project(ROOT / "pyproject.toml", unfinished)
    if look_at_hxtorch([unfinished]) != before:
        raise PreparationError(
            f"torch or numpy would come from {unfinished}; please report what was installed: {done}"
        )
    shutil.rmtree(target, ignore_errors=True)
    unfinished.rename(target)
    return done


def main(arguments: Sequence[str] | None = None) -> int:
    """Fills the folder and says with what; the exit status."""
    parser = argparse.ArgumentParser("packages.py", description=__doc__)
    parser.add_argument("target", type=Path, help="the folder; what is in it is replaced")
    options = parser.parse_args(arguments)
    try:
        done = prepare(options.target)
    except PreparationError as error:
        print(f"prepare: {error}", file=sys.stderr)  # noqa: T201 the reason for stopping
        return 1
    print(f"installed in {options.target}: {', '.join(done) or 'nothing, all is there'}")  # noqa: T201 what was asked for
    return 0


if __name__ == "__main__":
    sys.exit(main())
