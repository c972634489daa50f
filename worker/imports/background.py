"""Calls that would hold up the chip: they run in a thread, while their generator yields."""

import threading
from collections.abc import Callable, Generator
from typing import Final, TypeVar

R = TypeVar("R")

_LOOK_S: Final = 0.005


def in_thread(function: Callable[[], R]) -> Generator[None, None, R]:
    """Yield until a function has returned in another thread; return or raise what it did."""
    results: list[R] = []
    errors: list[BaseException] = []

    def run() -> None:
        try:
            results.append(function())
        except BaseException as error:  # noqa: BLE001 raised again by the thread that waits
            errors.append(error)

    thread = threading.Thread(target=run, name="import", daemon=True)
    thread.start()
    while thread.is_alive():
        thread.join(_LOOK_S)
        yield
    if errors:
        raise errors[0]
    return results[0]
