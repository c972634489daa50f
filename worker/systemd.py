"""Notifications to systemd, if that started the worker: readiness, status and the watchdog.

Source: sd_notify(3): datagrams of `NAME=value` lines to the socket that `NOTIFY_SOCKET` names.
"""

import logging
import os
import socket
from collections.abc import Mapping
from typing import Final

VARIABLE: Final = "NOTIFY_SOCKET"
ALIVE: Final = "WATCHDOG=1"
READY: Final = "READY=1"
STOPPING: Final = "STOPPING=1"

_log = logging.getLogger(__name__)


def notify(*lines: str, environment: Mapping[str, str] = os.environ) -> bool:
    """Send these lines to systemd; return whether they were sent. Without systemd nothing happens."""
    address = environment.get(VARIABLE, "")
    if not address.startswith(("/", "@")):
        return False
    try:
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as sender:
            # A name that begins with @ is in the abstract namespace, whose names begin with a zero byte.
            sender.connect(address.replace("@", "\0", 1) if address.startswith("@") else address)
            sender.sendall("\n".join(lines).encode())
    except OSError as error:
        _log.warning("systemd is not told %s: %s", lines[0], error)
        return False
    return True
