"""What systemd is told: through its socket, and nothing where there is none."""

import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from services.chips.store import ChipStore, Lease
from worker.heartbeat import Heartbeat
from worker.systemd import ALIVE, READY, VARIABLE, notify


@pytest.fixture(params=["file", "abstract"])
def listening(request: pytest.FixtureRequest, short_folder: Path) -> Iterator[tuple[socket.socket, str]]:
    """A socket such as systemd's, and its address as systemd gives it."""
    path = str(short_folder / "notify")
    address = path if request.param == "file" else f"@{path}"
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as receiver:
        receiver.bind(path if request.param == "file" else f"\0{path}")
        receiver.settimeout(30)
        yield receiver, address


def test_lines_reach_systemd(listening: tuple[socket.socket, str]) -> None:
    receiver, address = listening

    told = notify(READY, "STATUS=chip chip-1 takes turns", environment={VARIABLE: address})

    assert told
    assert receiver.recv(1000) == b"READY=1\nSTATUS=chip chip-1 takes turns"


@pytest.mark.parametrize("environment", [{}, {VARIABLE: ""}, {VARIABLE: "vsock:1:2"}])
def test_without_systemd_nothing_is_sent(environment: dict[str, str]) -> None:
    assert not notify(ALIVE, environment=environment)


def test_a_socket_that_is_gone_ends_nothing(short_folder: Path, caplog: pytest.LogCaptureFixture) -> None:
    assert not notify(ALIVE, environment={VARIABLE: str(short_folder / "gone")})

    assert "systemd is not told WATCHDOG=1" in caplog.text


def test_the_presence_thread_says_again_and_again_that_the_process_moves(
    listening: tuple[socket.socket, str], monkeypatch: pytest.MonkeyPatch, chips: ChipStore, lease: Lease
) -> None:
    receiver, address = listening
    monkeypatch.setenv(VARIABLE, address)
    heartbeat = Heartbeat(
        lease, chips, dict, lambda: None, lambda: 0.0, lambda: False, lease_s=0.04, give_up_after_s=1e9
    )

    heartbeat.start()
    heard = {receiver.recv(100) for _ in range(3)}
    heartbeat.stop()

    assert heard == {ALIVE.encode()}
