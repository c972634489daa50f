"""Work that would hold up other requests: it is done in a thread, while the event loop goes on."""

from collections.abc import Callable
from typing import ParamSpec, TypeVar

import gevent

P = ParamSpec("P")
R = TypeVar("R")


def in_thread(function: Callable[P, R], *args: P.args, **kwargs: P.kwargs) -> R:
    """Return what a function returns that waits for the disk, or computes for more than a few milliseconds."""
    result: R = gevent.get_hub().threadpool.apply(function, args, kwargs)
    return result
