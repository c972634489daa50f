"""Model servers of other projects, each in an environment of its own, with the weights of one of our versions."""

import subprocess
import sysconfig
import time
import urllib.error
import urllib.request
import venv
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from benchmarks.formats import BASE64_JSON, RAW, V2_BINARY, Format
from benchmarks.processes import Process, ProcessError, Server, free_port, started

_HERE: Final = Path(__file__).parent
_INSTALL_LIMIT_S: Final = 600
_READY_LIMIT_S: Final = 60.0


class PeerUnavailableError(Exception):
    """A peer cannot be installed here."""


@dataclass(frozen=True, slots=True)
class Peer:
    """A model server: the arguments of its interpreter, with `{port}` and `{grpc}` for ports, and its requests."""

    name: str
    command: tuple[str, ...]
    path: str
    form: Format


MOSEC: Final = Peer(
    "mosec",
    ("-m", "benchmarks.mosec_server", "--address", "127.0.0.1", "--port", "{port}", "--log-level", "error"),
    "/inference",
    RAW,
)
LITSERVE: Final = Peer("litserve", ("-m", "benchmarks.litserve_server", "{port}"), "/predict", BASE64_JSON)
TRITON: Final = Peer(
    "triton", ("-m", "benchmarks.triton_server", "{port}", "{grpc}"), "/v2/models/digits/infer", V2_BINARY
)


@contextmanager
def running_peer(peer: Peer, folder: Path, version: Path) -> Iterator[Server]:
    """Run a peer; it has answered its first request when the context begins.

    Raises:
        PeerUnavailableError: it cannot be installed here.
        ProcessError: it does not start.
    """
    port, grpc_port = free_port(), free_port()
    ports = {"{port}": str(port), "{grpc}": str(grpc_port)}
    command = [str(peer_python(peer.name)), *(ports.get(part, part) for part in peer.command)]
    env = {"BENCH_VERSION": str(version), "BENCH_FOLDER": str(folder)}
    with started(command, log=folder / f"{peer.name}.log", env=env) as process:
        _await_answer(peer, process, port)
        yield Server(port, (process.pid,), grpc_port)


def _await_answer(peer: Peer, process: Process, port: int) -> None:
    body, headers = peer.form.encode(bytes(784))
    request = urllib.request.Request(f"http://127.0.0.1:{port}{peer.path}", data=body, headers=dict(headers))
    deadline = time.monotonic() + _READY_LIMIT_S
    while True:
        try:
            with urllib.request.urlopen(request, timeout=30):  # noqa: S310  # our own address
                return
        except OSError as error:
            if process.ended or time.monotonic() > deadline:
                raise ProcessError(f"{peer.name} is not ready ({error}): {process.log_tail()}") from error
            time.sleep(0.1)


def peer_python(name: str) -> Path:
    """Return the interpreter of a peer's environment, which is built when it is missing or out of date.

    Raises:
        PeerUnavailableError: the peer cannot be installed.
    """
    requirements = requirements_of(name)
    folder = _HERE / ".venvs" / name
    stamp = folder / "requirements"
    if not stamp.is_file() or stamp.read_text().split() != requirements:
        _install(name, folder, requirements)
        stamp.write_text(" ".join(requirements))
    # After the installation, so that it does not depend on the packages of the project's environment.
    packages = next(folder.glob("lib/python*/site-packages"))
    (packages / "project.pth").write_text(
        f"import site; site.addsitedir({sysconfig.get_path('purelib')!r})\n"
    )
    return folder / "bin" / "python"


def _install(name: str, folder: Path, requirements: list[str]) -> None:
    print(f"installing {' '.join(requirements)} into {folder} ...", flush=True)
    venv.create(folder, with_pip=True, clear=True)
    pip = [str(folder / "bin" / "python"), "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
    try:
        subprocess.run(
            [*pip, *requirements], check=True, capture_output=True, timeout=_INSTALL_LIMIT_S, text=True
        )
    except subprocess.SubprocessError as error:
        output = getattr(error, "stderr", None) or str(error)
        raise PeerUnavailableError(
            f"{name} cannot be installed: {output.strip().splitlines()[-1:]}"
        ) from error


def requirements_of(name: str) -> list[str]:
    """Return the arguments of `pip install` for a peer, from `peers.txt`.

    Raises:
        KeyError: the file does not name the peer.
    """
    for line in (_HERE / "peers.txt").read_text().splitlines():
        key, _, requirements = line.partition(":")
        if key == name and not line.startswith("#"):
            return requirements.split()
    raise KeyError(f"peers.txt has no environment named {name}")
