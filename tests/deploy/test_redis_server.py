"""The embedded Redis: when it counts as started, and when it writes its file anew."""

import os
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import closing, suppress
from pathlib import Path

import pytest

from deploy import redis_server as embedded
from deploy.redis_server import redis_server, wait_until_it_answers
from deploy.supervision import Supervised
from services.errors import UnavailableError
from services.store.connection import Connection
from tests.system.conftest import wait_until

LOADING = b"-LOADING Redis is loading the dataset in memory\r\n"
INFO = b"redis_version:7.0.0\r\n"


@pytest.fixture
def running(short_folder: Path) -> Iterator[Supervised]:
    """A process that does not end."""
    process = Supervised("sleep", ["sleep", "60"], short_folder / "log", environment=os.environ)
    yield process
    process.stop()


@pytest.fixture
def loading(short_folder: Path) -> Iterator[tuple[str, threading.Event]]:
    """The address of what says that it is loading, until the event is set."""
    path, has_loaded = short_folder / "redis.sock", threading.Event()

    def answer(client: socket.socket) -> None:
        with client, suppress(OSError):
            while asked := client.recv(4096):
                info = b"$%d\r\n%s\r\n" % (len(INFO), INFO)
                client.sendall((info if has_loaded.is_set() else LOADING) * asked.count(b"*"))

    def serve(listening: socket.socket) -> None:
        with suppress(OSError):
            while True:
                threading.Thread(target=answer, args=[listening.accept()[0]], daemon=True).start()

    with closing(socket.socket(socket.AF_UNIX)) as listening:
        listening.bind(str(path))
        listening.listen()
        threading.Thread(target=serve, args=[listening], daemon=True).start()
        yield f"unix://{path}", has_loaded
        listening.shutdown(socket.SHUT_RDWR)


def test_a_redis_that_reads_a_long_file_is_waited_for(
    loading: tuple[str, threading.Event], running: Supervised, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(embedded, "_START_TIMEOUT_S", 0.2)
    url, has_loaded = loading
    threading.Timer(0.8, has_loaded.set).start()
    began = time.monotonic()

    wait_until_it_answers(running, url)

    assert time.monotonic() - began > 0.7


def test_a_redis_that_does_not_listen_is_given_up(
    short_folder: Path, running: Supervised, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(embedded, "_START_TIMEOUT_S", 0.2)

    with pytest.raises(UnavailableError, match="did not start"):
        wait_until_it_answers(running, f"unix://{short_folder}/redis.sock")


def test_a_long_file_is_written_anew_and_a_short_one_is_left(
    short_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    minimum, least, *percentage = embedded.REWRITTEN_AT
    assert (minimum, least) == ("--auto-aof-rewrite-min-size", "512mb")
    monkeypatch.setattr(embedded, "REWRITTEN_AT", (minimum, "1mb", *percentage))
    folder = short_folder / "redis"

    def length(connection: Connection) -> int:
        return int(connection.client.info("persistence")["aof_current_size"])

    def write(connection: Connection, times: int) -> None:
        for _ in range(times):
            connection.client.set("same", b"x" * 10_000)

    for length_at_start in (0, 500_000):
        with (
            redis_server(folder, short_folder / "log") as (url, _process),
            closing(Connection(url)) as connection,
        ):
            assert length(connection) >= length_at_start
            if length_at_start == 0:
                write(connection, 70)
                assert length(connection) > 500_000  # below the minimum nothing is rewritten
            write(connection, 60)
            wait_until(lambda: length(connection) < 500_000)
            write(connection, 60)
