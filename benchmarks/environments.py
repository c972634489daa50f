"""Environments of the peers: built on demand, never mixed into the project's own."""

import subprocess
import sysconfig
import venv
from pathlib import Path

_HERE = Path(__file__).parent
_INSTALL_LIMIT_S = 600


class PeerUnavailableError(Exception):
    """A peer cannot be installed here."""


def requirements_of(name: str) -> list[str]:
    """What `peers.txt` asks for under this name."""
    for line in (_HERE / "peers.txt").read_text().splitlines():
        key, _, requirements = line.partition(":")
        if key == name and not line.startswith("#"):
            return requirements.split()
    raise KeyError(f"peers.txt has no environment named {name}")


def peer_python(name: str) -> Path:
    """The interpreter of a peer's environment, which is built when it is missing or out of date.

    Raises:
        PeerUnavailableError: when the peer cannot be installed.
    """
    requirements = requirements_of(name)
    folder = _HERE / ".venvs" / name
    python = folder / "bin" / "python"
    stamp = folder / "requirements"
    if stamp.is_file() and stamp.read_text().split() == requirements:
        return python
    print(f"installing {' '.join(requirements)} into {folder} ...", flush=True)
    venv.create(folder, with_pip=True, clear=True)
    try:
        subprocess.run(
            [python, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", *requirements],
            check=True,
            capture_output=True,
            timeout=_INSTALL_LIMIT_S,
            text=True,
        )
    except subprocess.SubprocessError as error:
        said = getattr(error, "stderr", None) or str(error)
        raise PeerUnavailableError(f"{name} cannot be installed: {said.strip().splitlines()[-1:]}") from error
    # Only now, so that the installation depends on nothing the project's environment happens to hold.
    packages = next(folder.glob("lib/python*/site-packages"))
    (packages / "project.pth").write_text(sysconfig.get_path("purelib") + "\n")
    stamp.write_text(" ".join(requirements))
    return python
