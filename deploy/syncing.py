"""Forcing Redis' append-only file to the disk every second, without standing in the way of its writes.

Redis itself can do so (`appendfsync everysec`), but while one second's data go to a busy disk it puts off writing the
next to the file, and answers all the same: if it is killed then, what it has accepted is lost. Left alone
(`appendfsync no`) it always writes before it answers, so that a kill costs nothing, and this process asks the system
to bring the file to the disk.
"""

import logging
import os
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

EVERY_S: Final = 1.0
_log = logging.getLogger(__name__)


@contextmanager
def synced(
    folder: Path, *, every_s: float = EVERY_S, sync: Callable[[int], None] = os.fdatasync
) -> Iterator[None]:
    """Keeps the append-only files of the Redis in `folder` on the disk until the context ends, and once more then.

    Args:
        folder: where Redis keeps its data.
        every_s: seconds between two times; a power cut costs what was accepted since the last.
        sync: brings the file of a descriptor to the disk.
    """
    ended = threading.Event()

    def keep() -> None:
        while not ended.wait(every_s):
            _sync_files(folder, sync)

    thread = threading.Thread(target=keep, name="syncing", daemon=True)
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join()
        _sync_files(folder, sync)


def _sync_files(folder: Path, sync: Callable[[int], None]) -> None:
    """Syncs `appendonly.aof`, or what Redis 7 has in a folder instead; a file replaced meanwhile is the next time's."""
    for path in (*folder.glob("appendonly*.aof"), *folder.glob("appendonlydir/*")):
        try:
            descriptor = os.open(path, os.O_RDONLY)
        except FileNotFoundError:
            continue
        try:
            sync(descriptor)
        except OSError as error:
            _log.error("the disk did not take %s (%s); is it full or broken?", path, error)
        finally:
            os.close(descriptor)
