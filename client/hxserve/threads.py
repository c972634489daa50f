"""Calls of blocking functions from a coroutine, each in a thread of its own."""

import asyncio
import threading
from collections.abc import Callable
from contextlib import suppress
from contextvars import copy_context
from typing import Any, ParamSpec, TypeVar

from hxserve.transport import ABANDONED

P = ParamSpec("P")
T = TypeVar("T")


class Threads:
    """Runs functions in at most `most` threads.

    When the awaiting task is cancelled its thread ends the request that it has sent, sends no other one, and its result
    is dropped; the connection can be used again. Threads are daemons, so that a request which waits for a job does not
    keep a program from ending.
    """

    def __init__(self, most: int) -> None:
        self._places = asyncio.Semaphore(most)

    async def run(self, function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Return what the function returns.

        The functions `on_change` and `on_progress` among the arguments are called in the event loop.

        Raises:
            Exception: the function's.
        """
        loop = asyncio.get_running_loop()
        called: Any = {
            name: _in_loop(loop, value) if name.startswith("on_") else value for name, value in kwargs.items()
        }
        future: asyncio.Future[T] = loop.create_future()
        context, abandoned = copy_context(), threading.Event()
        context.run(ABANDONED.set, abandoned)

        def settle(result: T | None, error: BaseException | None) -> None:
            if future.done():
                return
            if error is None:
                future.set_result(result)  # type: ignore[arg-type] # None only beside an error, or as T
            else:
                future.set_exception(error)

        def work() -> None:
            result: T | None = None
            error: BaseException | None = None
            try:
                result = context.run(function, *args, **called)
            except BaseException as caught:  # noqa: BLE001 raised again where it is awaited
                error = caught
            with suppress(RuntimeError):  # the loop has ended meanwhile
                loop.call_soon_threadsafe(settle, result, error)

        async with self._places:
            threading.Thread(target=work, name="hxserve", daemon=True).start()
            try:
                return await future
            finally:
                abandoned.set()


def _in_loop(loop: asyncio.AbstractEventLoop, value: Any) -> Any:
    """Return a function that calls another one in the loop; other values as they are."""
    if not callable(value):
        return value

    def call(*args: Any) -> None:
        loop.call_soon_threadsafe(value, *args)

    return call
