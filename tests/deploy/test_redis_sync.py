"""The embedded Redis' file is brought to the disk every second, whatever Redis calls it."""

import os
import threading
from pathlib import Path

import pytest

from deploy.redis_server import redis_server, synced
from services.store.connection import Connection
from tests.system.conftest import wait_until

LONG_S = 30.0


class _Disk:
    """Notes the size that each file has when it is brought to the disk."""

    def __init__(self) -> None:
        self.taken: dict[str, int] = {}
        self.times = 0
        self.twice = threading.Event()

    def __call__(self, descriptor: int) -> None:
        """Takes a file."""
        path = Path(f"/proc/self/fd/{descriptor}").readlink()
        self.taken[path.name] = os.fstat(descriptor).st_size
        self.times += 1
        if self.times >= 2:
            self.twice.set()


@pytest.mark.parametrize("name", ["appendonly.aof", "appendonlydir/appendonly.aof.3.incr.aof"])
def test_the_file_is_brought_to_the_disk_again_and_again_and_at_the_end(tmp_path: Path, name: str) -> None:
    file, disk = tmp_path / name, _Disk()
    file.parent.mkdir(exist_ok=True)
    file.write_bytes(b"12")

    with synced(tmp_path, every_s=0.01, sync=disk):
        assert disk.twice.wait(LONG_S)
        file.write_bytes(b"12345")

    assert disk.taken == {file.name: 5}


def test_a_disk_that_fails_is_told_of_and_tried_again(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "appendonly.aof").write_bytes(b"1")
    tried = threading.Semaphore(0)

    def fail(_: int) -> None:
        tried.release()
        raise OSError("no space left on device")

    with synced(tmp_path, every_s=0.01, sync=fail):
        assert tried.acquire(timeout=LONG_S)
        assert tried.acquire(timeout=LONG_S)

    assert "no space left on device" in caplog.text


@pytest.mark.parametrize("sync", ["second", "always"])
def test_what_the_embedded_redis_has_confirmed_is_in_its_file(short_folder: Path, sync: str) -> None:
    folder = short_folder / "redis"
    with redis_server(folder, short_folder / "log", sync="always" if sync == "always" else "second") as (
        url,
        process,
    ):
        connection = Connection(url)
        for number in range(50):
            connection.client.set(f"key-{number}", b"x" * 10_000)
            written = b"".join(path.read_bytes() for path in folder.rglob("appendonly*") if path.is_file())
            assert f"key-{number}".encode() in written
        connection.close()
        assert process.exit_status() is None


def test_a_rewritten_file_is_followed(short_folder: Path) -> None:
    folder, disk = short_folder / "redis", _Disk()
    with redis_server(folder, short_folder / "log") as (url, _), synced(folder, every_s=0.01, sync=disk):
        connection = Connection(url)
        for _ in range(200):
            connection.client.set("same", b"x" * 10_000)
        connection.client.bgrewriteaof()
        wait_until(lambda: not connection.client.info("persistence")["aof_rewrite_in_progress"])
        connection.client.set("after", b"y")
        connection.close()

    assert sum(disk.taken.values()) < 200 * 10_000
