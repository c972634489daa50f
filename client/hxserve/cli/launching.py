"""Commands that are the server's own: this process becomes the program that does them."""

import os
import sys
from collections.abc import Mapping, Sequence
from importlib.util import find_spec
from typing import Final, NoReturn

from hxserve.cli.outcome import Failure

_SERVER_LIBRARIES: Final = ("flask", "celery", "torch")


def become(module: str, flags: Mapping[str, object], more: Sequence[str]) -> NoReturn:
    """Replace this process by a module of the server, so that signals reach it.

    Args:
        module: to run.
        flags: values by the names of its options; those that are None are left out, True gives the bare flag.
        more: further arguments.
    """
    missing = [name for name in (module, *_SERVER_LIBRARIES) if not _is_installed(name)]
    if missing:
        raise Failure(
            "server_not_installed",
            f"the server's part is not installed here ({', '.join(missing)} missing); "
            "install it with `pip install 'hxserve-server[api,worker]'`, or use a running service with --url",
        )
    arguments = [
        text
        for name, value in flags.items()
        if value is not None and value is not False
        for text in (
            (f"--{name.replace('_', '-')}",) if value is True else (f"--{name.replace('_', '-')}", str(value))
        )
    ]
    command = [sys.executable, "-m", module, *arguments, *more]
    os.execv(sys.executable, command)  # noqa: S606 - no shell, our own interpreter


def _is_installed(module: str) -> bool:
    try:
        return find_spec(module) is not None
    except ModuleNotFoundError:
        return False
