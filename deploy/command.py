"""The frame of the commands in this folder: signals, settings from flags, an error as an exit status."""

import signal
import sys
from collections.abc import Callable
from typing import Any, Final, NoReturn

from services.errors import HxserveError, SettingsError
from services.passwords import has_password
from services.settings import Settings, load_settings

INTERRUPTED: Final = 130


def run_command(work: Callable[[], object]) -> int:
    """Return the exit status of a command; SIGTERM interrupts it like Ctrl-C, an error ends it with one line."""
    for number in (signal.SIGTERM, signal.SIGINT):  # a script's background job starts with SIGINT ignored
        signal.signal(number, _interrupt)
    try:
        work()
    except KeyboardInterrupt:
        print("hxserve: interrupted", file=sys.stderr)  # noqa: T201 the operator's terminal
        return INTERRUPTED
    except HxserveError as error:
        print(f"hxserve: {error.code}: {error.message}", file=sys.stderr)  # noqa: T201 the same
        return 1
    return 0


def _interrupt(number: int, frame: object) -> NoReturn:
    del number, frame
    raise KeyboardInterrupt


def settings_of(**flags: Any) -> Settings:
    """Return the settings with the flags of a command line, where None stands for a flag that was not given.

    Raises:
        SettingsError: one is unknown or impossible, or the address of Redis has a password that all users could read.
    """
    if has_password(flags.get("redis_url") or ""):
        raise SettingsError(
            "every user of this machine can read a password on the command line; "
            "set HXSERVE_REDIS_PASSWORD_FILE instead"
        )
    return load_settings(**flags)
