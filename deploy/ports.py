"""Ports of a service on one machine: free ones, and waiting until something serves there."""

import socket
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import Final

from deploy.supervision import Supervised
from services.errors import UnavailableError

_READY_TIMEOUT_S: Final = 120.0


def free_port(host: str, wanted: int, flag: str = "--port", *, besides: int | None = None) -> int:
    """Return the wanted port, or any free one for 0, after binding it: a client must not find another service there.

    `besides` is a port that was returned before and is not bound yet.

    Raises:
        UnavailableError: the port is taken or forbidden; the message names the `flag` by which it was chosen.
    """
    try:
        with socket.create_server((host, wanted)) as probe:
            port: int = probe.getsockname()[1]
        return free_port(host, wanted, flag, besides=besides) if wanted == 0 and port == besides else port
    except OSError as error:
        raise UnavailableError(
            f"{host}:{wanted} cannot be served ({error.strerror}); choose another {flag}, or 0 for any"
        ) from None


def wait_until_ready(url: str, grpc: tuple[str, int] | None, processes: Mapping[str, Supervised]) -> None:
    """Return when a service is ready, and takes calls of gRPC at that address if there is one.

    Raises:
        UnavailableError: a process ends, or it takes too long.
    """
    until = time.monotonic() + _READY_TIMEOUT_S

    def wait_for(is_ready: Callable[[], bool], what: str) -> None:
        while not is_ready():
            for process in processes.values():
                if process.exit_status() is not None:
                    raise UnavailableError(
                        f"the {process.name} did not start; {process.log} ends with:\n{process.log_tail()}"
                    )
            if time.monotonic() > until:
                raise UnavailableError(
                    f"{what} is not ready after {_READY_TIMEOUT_S:.0f} s; see {url}/readyz"
                )
            time.sleep(0.1)

    wait_for(lambda: _is_ready(url), "the service")
    if grpc is not None:
        wait_for(lambda: _accepts(grpc), "the gRPC service")


def _is_ready(url: str) -> bool:
    try:
        with urllib.request.urlopen(f"{url}/readyz", timeout=5):  # noqa: S310 our own address
            return True
    except (urllib.error.URLError, OSError):
        return False


def _accepts(address: tuple[str, int]) -> bool:
    with suppress(OSError), socket.create_connection(address, timeout=5):
        return True
    return False
