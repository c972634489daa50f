"""`python -m benchmarks.backup`: the time of a backup, and the time for which Redis answers no other client."""

import os
import sys
import tempfile
import threading
import time
from contextlib import closing, suppress
from pathlib import Path
from typing import Final

import redis

from benchmarks.machine import describe_machine
from deploy.backup import back_up
from deploy.redis_server import redis_server
from deploy.restore import restore
from services.crops.answers import CROP_BYTES
from services.crops.lanes import Lane
from services.crops.requests import CropRequest
from services.crops.store import Acceptance, CropStore
from services.jobs.record import JobKind
from services.jobs.submission import new_job
from services.settings import Settings
from services.store.connection import Connection
from services.store.schema import ensure_schema
from services.users.authentication import User

_WAITING_PARTS: Final = (150, 1_500, 7_500)
"""Parts of 64 crops with a record each; `HXSERVE_MAX_WAITING_CROPS` is 100,000 crops by default, so 1,563 parts."""

_PART_CROPS: Final = 64


def main() -> int:
    """Print a table; return the exit status."""
    machine = describe_machine()
    print(f"{machine['cpu']}, {machine['cores']} cores, commit {machine['git_commit']}")
    columns = ("waiting parts", "Redis MiB", "backup s", "others wait s", "restore s", "file MiB")
    print("".join(f"{column:>15}" for column in columns))
    for parts in _WAITING_PARTS:
        with tempfile.TemporaryDirectory(prefix="hx") as folder:
            print(_measure(parts, Path(folder)))
    return 0


def _measure(parts: int, folder: Path) -> str:
    with redis_server(folder / "r", folder / "log") as (url, _), closing(Connection(url)) as connection:
        settings = Settings(data_dir=folder / "a", redis_url=url, admin_token_file=folder / "token")
        ensure_schema(connection)
        _fill(connection, parts)
        used_mib = int(connection.client.info("memory")["used_memory"]) / 2**20
        stopping, longest = threading.Event(), [0.0]
        watch = threading.Thread(target=_watch, args=(url, stopping, longest))
        watch.start()
        began = time.monotonic()
        back_up(settings, folder / "hx.backup")
        backup_s = time.monotonic() - began
        stopping.set()
        watch.join()
        connection.client.flushall()
        began = time.monotonic()
        restore(settings, folder / "hx.backup")
        restore_s = time.monotonic() - began
    file_mib = (folder / "hx.backup").stat().st_size / 2**20
    seconds = (f"{duration_s:.2f}" for duration_s in (backup_s, longest[0], restore_s))
    return "".join(f"{figure:>15}" for figure in (parts, f"{used_mib:.0f}", *seconds, f"{file_mib:.0f}"))


def _fill(connection: Connection, parts: int) -> None:
    crops = CropStore(connection, max_waiting=10**9, keep_results_s=3600)
    for number in range(parts):
        user = User(f"user{number % 20}")
        request = CropRequest(user, "digits", "1", os.urandom(_PART_CROPS * CROP_BYTES), wait_s=0)
        job = new_job(JobKind.CLASSIFICATION, user, "digits", {"version": "1"})
        lane = Lane("digits", "1", user.name)
        crops.accept("", [Acceptance(job.id, lane, list(request.parts()), request, job)])


def _watch(url: str, stopping: threading.Event, longest: list[float]) -> None:
    """Ping Redis repeatedly, and keep the longest time until it answered."""
    with closing(Connection(url)) as connection:
        while not stopping.is_set():
            began = time.monotonic()
            with suppress(redis.ResponseError):  # after five seconds Redis says that it is busy
                connection.client.ping()
            longest[0] = max(longest[0], time.monotonic() - began)
            time.sleep(0.001)


if __name__ == "__main__":
    sys.exit(main())
