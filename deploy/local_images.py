"""`python -m deploy.local_images`: the images that `docker-compose.yml` builds on, made where none can be pulled.

They are Debian's own packages, installed by debootstrap under names that say so, and a wheelhouse of what pip finds on
this machine. Whoever reaches a registry of images needs none of this. Run it as root, with a Python of the same version
as Debian's, for the wheels.
"""

import argparse
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from services.errors import HxserveError, UnavailableError

ROOT: Final = Path(__file__).resolve().parent.parent
RELEASE: Final = "bookworm"
PYTHON: Final = (3, 11)
"""Of Debian bookworm; wheels are fetched for the Python that runs this."""
_EXTRAS: Final = "api,flower,worker"
_FOR_OLDER_PYTHON: Final = "async-timeout>=4.0.3"
"""What redis needs before Python 3.11.3; Debian has 3.11.2, and pip looks at the Python that it runs in."""


@dataclass(frozen=True, slots=True)
class LocalImage:
    """What stands in for an image of a registry.

    `variable` is that of `docker-compose.yml`, `setup` the lines of its Dockerfile after the base.
    """

    variable: str
    tag: str
    setup: tuple[str, ...]


BASE: Final = f"hxserve-local/debian:{RELEASE}"
_INSTALL: Final = "RUN apt-get update -qq && apt-get install -y -qq --no-install-recommends"
_TIDY: Final = "&& rm -rf /var/lib/apt/lists/*"
IMAGES: Final = (
    LocalImage("PYTHON_IMAGE", "hxserve-local/python:3.11", (f"{_INSTALL} python3 python3-venv {_TIDY}",)),
    LocalImage(
        "REDIS_IMAGE",
        "hxserve-local/redis:7.0",
        (
            "RUN groupadd -r -g 999 redis && useradd -r -g redis -u 999 redis",
            f"{_INSTALL} redis-server {_TIDY}",
            "RUN mkdir -p /data && chown redis:redis /data",
            'WORKDIR /data\nVOLUME /data\nCMD ["redis-server"]',
        ),
    ),
    LocalImage(
        "PROXY_IMAGE",
        "hxserve-local/haproxy:2.6",
        (
            f"{_INSTALL} haproxy {_TIDY}",
            'USER haproxy\nCMD ["haproxy", "-f", "/usr/local/etc/haproxy/haproxy.cfg"]',
        ),
    ),
    LocalImage(
        "PROMETHEUS_IMAGE",
        "hxserve-local/prometheus:2.42",
        (
            f"{_INSTALL} prometheus wget {_TIDY}",
            "RUN mkdir -p /prometheus && chown nobody:nogroup /prometheus",
            'USER nobody\nWORKDIR /prometheus\nENTRYPOINT ["prometheus"]',
        ),
    ),
)
WHEELS: Final = LocalImage(
    "BUILD_IMAGE",
    "hxserve-local/python-wheels:3.11",
    (
        "COPY wheels /wheels",
        r'RUN printf "[global]\nno-index = true\nfind-links = /wheels\n" > /etc/pip.conf',
    ),
)
"""Builds take every wheel from it, so that nothing of this machine's pip reaches an image that is kept."""


def make_images(build_folder: Path) -> None:
    """Makes all of them.

    Args:
        build_folder: an empty folder, for what they are made of.

    Raises:
        UnavailableError: a tool is missing or fails; its own words come before.
    """
    _demand_tools()
    root = build_folder / "root"
    _run(["debootstrap", "--variant=minbase", "--include=ca-certificates,netbase,tzdata", RELEASE, str(root)])
    packed = build_folder / "root.tar"
    _run(["tar", "-C", str(root), "--one-file-system", "-cf", str(packed), "."])
    _run(["docker", "import", str(packed), BASE])
    context = build_folder / "context"
    context.mkdir()
    for image in IMAGES:
        _build(image, BASE, context)
    _fetch_wheels(context / "wheels")
    _build(WHEELS, IMAGES[0].tag, context)


def variables() -> str:
    """The environment file that lets `docker-compose.yml` use them."""
    lines = [f"{image.variable}={image.tag}" for image in (*IMAGES, WHEELS)]
    return "\n".join([*lines, "REDIS_VERSION=7.0", "TORCH_INDEX="]) + "\n"


def _demand_tools() -> None:
    missing = [tool for tool in ("debootstrap", "docker", "tar") if shutil.which(tool) is None]
    if missing:
        raise UnavailableError(f"not installed here: {', '.join(missing)}; install Debian's package of each")
    if sys.version_info[:2] != PYTHON:
        raise UnavailableError(
            f"wheels are fetched for Python {sys.version_info[0]}.{sys.version_info[1]}, the images have "
            f"{PYTHON[0]}.{PYTHON[1]}; run this with the latter"
        )


def _build(image: LocalImage, base: str, context: Path) -> None:
    dockerfile = context / "Dockerfile"
    dockerfile.write_text("\n".join([f"FROM {base}", *image.setup, ""]))
    _run(["docker", "build", "--quiet", "--tag", image.tag, str(context)])


def _fetch_wheels(folder: Path) -> None:
    """What pip would install here for both images, and what builds the project's own wheel."""
    requirements = [f"{ROOT}[{_EXTRAS}]", "hatchling>=1.27", _FOR_OLDER_PYTHON]
    _run([
        *(sys.executable, "-m", "pip", "download", "--quiet", "--dest", str(folder)),
        *("--constraint", str(ROOT / "constraints.txt"), *requirements),
    ])  # fmt: skip


def _run(command: Sequence[str]) -> None:
    try:
        subprocess.run(command, check=True, stdout=sys.stderr)  # noqa: S603 our own commands
    except (OSError, subprocess.CalledProcessError) as error:
        raise UnavailableError(f"`{' '.join(command[:2])}` failed: {error}") from None


def main(arguments: Sequence[str] | None = None) -> int:
    """Makes the images and prints the environment file that names them; the exit status."""
    parser = argparse.ArgumentParser("python -m deploy.local_images", description=__doc__)
    parser.parse_args(arguments)
    try:
        with tempfile.TemporaryDirectory(prefix="hxserve-images-") as folder:
            make_images(Path(folder))
    except HxserveError as error:
        print(f"{error.code}: {error.message}", file=sys.stderr)  # noqa: T201 the reason for stopping
        return 1
    print(variables(), end="")  # noqa: T201 what was asked for
    return 0


if __name__ == "__main__":
    sys.exit(main())
