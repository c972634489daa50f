"""Work that would hold up other requests: it is done in a thread, while the event loop goes on."""

import socket
from collections.abc import Callable, Sequence
from typing import Any, ParamSpec, TypeVar

import gevent
from gevent import monkey
from gevent.threadpool import ThreadPool

from services.webhooks.deliverer import AT_ONCE
from services.webhooks.targets import LookUp, look_up

P = ParamSpec("P")
R = TypeVar("R")


def in_thread(function: Callable[P, R], *args: P.args, **kwargs: P.kwargs) -> R:
    """Return what a function returns that waits for the disk, or computes for more than a few milliseconds."""
    result: R = gevent.get_hub().threadpool.apply(function, args, kwargs)
    return result


def name_look_up() -> LookUp:
    """Return a function that looks up the names of receivers of webhooks.

    Under gevent it has threads of its own: a name server that does not answer occupies none that requests need.
    """
    if not monkey.is_module_patched("socket"):
        return look_up
    threads = ThreadPool(AT_ONCE)
    real = monkey.get_original("socket", "getaddrinfo")

    def look_up_in_thread(host: str, port: int) -> Sequence[tuple[Any, ...]]:
        found: Sequence[tuple[Any, ...]] = threads.apply(real, (host, port, 0, socket.SOCK_STREAM))
        return found

    return look_up_in_thread
