"""Progress of jobs that a program waits for: live in notebooks and at terminals, none elsewhere."""

from __future__ import annotations

import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from hxserve.jobs import Job

_ONE_DISPLAY: Final = threading.Lock()
"""Two live displays would overwrite each other's lines."""


@contextmanager
def shown(on_change: Callable[[Job], None] | None, progress: bool | None) -> Iterator[Callable[[Job], None]]:
    """Give the function to call with a job's states: `on_change`, else one that shows them where a person looks.

    Args:
        on_change: of the caller; it then shows what it likes.
        progress: show progress; None: in notebooks and at terminals, from the main thread.
    """
    if on_change is not None:
        yield on_change
        return
    wanted = progress if progress is not None else in_notebook() or sys.stderr.isatty()
    is_main = threading.current_thread() is threading.main_thread()
    if not (wanted and is_main and _ONE_DISPLAY.acquire(blocking=False)):
        yield lambda _: None
        return
    try:
        if in_notebook():
            from hxserve.notebook import live_job  # noqa: PLC0415 only notebooks need it

            yield live_job()
        else:
            from hxserve.progress import job_progress  # noqa: PLC0415 rich is slow to import

            with job_progress() as update:
                yield update
    finally:
        _ONE_DISPLAY.release()


def in_notebook() -> bool:
    """Return whether this process is the kernel of a notebook."""
    ipython = sys.modules.get("IPython")
    shell = ipython.get_ipython() if ipython else None
    return shell is not None and hasattr(shell, "kernel")
