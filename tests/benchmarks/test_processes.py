import socket
import sys
import time
from pathlib import Path

import psutil  # type: ignore[import-untyped]  # ships no types
import pytest

from benchmarks.peer_services import requirements_of
from benchmarks.processes import ProcessError, Server, free_port, started

LISTEN = "import socket,sys,time; s=socket.create_server(('127.0.0.1',int(sys.argv[1]))); time.sleep(60)"
PARENT = "import subprocess,time; subprocess.Popen(['sleep','60']); time.sleep(60)"


def test_a_process_is_used_from_when_it_listens_and_gone_afterwards(tmp_path: Path) -> None:
    port = free_port()

    with started([sys.executable, "-c", LISTEN, str(port)], log=tmp_path / "log", port=port) as process:
        socket.create_connection(("127.0.0.1", port), timeout=1).close()
        server = Server(port, (process.pid,))
        cpu_s, listening_cpu_s, other_cpu_s = (server.cpu_s(word) for word in ("", str(port), "elsewhere"))

    assert process.ended
    assert cpu_s == pytest.approx(listening_cpu_s, abs=0.1)
    assert cpu_s > other_cpu_s == 0


def test_what_a_process_has_started_goes_with_it(tmp_path: Path) -> None:
    with started([sys.executable, "-c", PARENT], log=tmp_path / "log") as process:
        deadline = time.monotonic() + 10
        children: list[psutil.Process] = []
        while not children and time.monotonic() < deadline:
            children = psutil.Process(process.pid).children()
            time.sleep(0.02)

    psutil.wait_procs(children, timeout=5)
    assert len(children) == 1
    assert not any(child.is_running() and child.status() != "zombie" for child in children)


def test_a_process_that_ends_while_starting_is_reported_with_its_log_tail(tmp_path: Path) -> None:
    command = [sys.executable, "-c", "import sys; sys.exit('no chip here')"]

    with (
        pytest.raises(ProcessError, match="no chip here"),
        started(command, log=tmp_path / "log", port=free_port()),
    ):
        pass


def test_every_peer_has_pinned_requirements() -> None:
    for name in ("mosec", "litserve", "triton"):
        requirements = [part for part in requirements_of(name) if not part.startswith("--")]

        assert requirements
        assert all("==" in requirement for requirement in requirements)


def test_an_unknown_peer_has_none() -> None:
    with pytest.raises(KeyError, match="no environment named torchserve"):
        requirements_of("torchserve")
