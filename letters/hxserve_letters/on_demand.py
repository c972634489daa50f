"""`hxserve letters --on-demand`: a process that waits for orders from the page, and starts a letter centre for each.

The centre is the command `letters` in a process of its own: NumPy and OpenCV are loaded while it runs only, its error
is the line that the command prints, and stopping it is ending that process.
"""

from __future__ import annotations

import ctypes
import os
import re
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Final, NoReturn

from hxserve.addresses import DATA_DIR_VARIABLE, TOKEN_VARIABLE, URL_VARIABLE, Address, find_address
from hxserve.client import Client
from hxserve.errors import ConnectionFailedError, ServiceError

if TYPE_CHECKING:
    from hxserve.cli.options import Options

_EVERY_S: Final = 1.0
_STOP_TIMEOUT_S: Final = 10.0
_THRESHOLD_LETTERS: Final = 200
"""Fewer than the command's own, so that the belt soon moves."""
_MOST_ERROR: Final = 0.03
"""More than the command's own: so few letters cannot show 1 %, and nearly all would be rejected."""
_CAMERAS: Final = 1
"""It starts sooner than several, and is enough for the largest order."""
_ERROR: Final = re.compile(r"hxserve: (?P<code>\w+): (?P<message>.+)")
_LONGEST_MESSAGE: Final = 500
_PR_SET_PDEATHSIG: Final = 1
"""Source: prctl(2)."""


def serve_orders(options: Options) -> NoReturn:
    """Carry out orders until interrupted; a service that does not answer is asked again.

    Raises:
        AddressError: no service is named.
        ServiceError: the token is not an admin's.
    """
    address = find_address(options.url, options.token, options.data_dir)
    environment = _environment(address, options.data_dir)
    signal.signal(signal.SIGTERM, _interrupt)
    run: Run | None = None
    with Client(address.url, address.token, retries=0) as client:
        try:
            while True:
                run = beat(client, run, environment)
                time.sleep(_EVERY_S)
        finally:
            if run:
                run.stop()


def beat(client: Client, run: Run | None, environment: Mapping[str, str]) -> Run | None:
    """Tell the service how the run goes, and start or stop one as it answers; return the run that goes on."""
    ended = run is not None and run.has_ended
    try:
        order = client.letter_orders.beat(
            run.order_id if run else None, ended=ended, problem=run.problem() if run and ended else None
        )
    except ConnectionFailedError:
        return run
    except ServiceError as error:
        if error.status < 500 and error.status != 429:
            raise
        return run
    if run is None:
        return Run(order, environment) if order else None
    if ended:
        return None
    if order is None:
        run.stop()
    return run


class Run:
    """The process of an order."""

    def __init__(self, order: Mapping[str, Any], environment: Mapping[str, str]) -> None:
        """Start a letter centre that ends with the present process."""
        self.order_id: str = order["id"]
        self._errors = tempfile.TemporaryFile("w+", encoding="utf-8", errors="replace")  # noqa: SIM115 open as long as the run
        self._process = subprocess.Popen(  # noqa: S603 our own command
            [sys.executable, "-m", "hxserve", "letters", *_flags(self.order_id, order["params"])],
            env=dict(environment),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=self._errors,
            preexec_fn=_end_with_parent if sys.platform == "linux" else None,  # noqa: PLW1509 one system call
        )

    @property
    def has_ended(self) -> bool:
        """Whether the process has ended."""
        return self._process.poll() is not None

    def problem(self) -> dict[str, str] | None:
        """Return code and message of the error with which the process ended; None if it succeeded."""
        if self._process.returncode == 0:
            return None
        self._errors.seek(0)
        *_, last = ["", *filter(None, map(str.strip, self._errors))]
        found = _ERROR.fullmatch(last)
        if found:
            return {"code": found["code"], "message": found["message"][:_LONGEST_MESSAGE]}
        said = f"the letter centre ended with status {self._process.returncode}; {last}"
        return {"code": "internal_error", "message": said[:_LONGEST_MESSAGE].rstrip("; ")}

    def stop(self) -> None:
        """End the process, by force if it does not end in time."""
        self._process.terminate()
        try:
            self._process.wait(_STOP_TIMEOUT_S)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()


def _flags(order_id: str, params: Mapping[str, Any]) -> list[str]:
    """Return the flags of the command for an order; each order has letters of its own."""
    given = {
        **params,
        "seed": int(order_id, 16) % 2**31,
        "threshold_letters": _THRESHOLD_LETTERS,
        "most_error": _MOST_ERROR,
        "cameras": _CAMERAS,
    }
    return [f"--{name.replace('_', '-')}={value}" for name, value in given.items()]


def _environment(address: Address, data_dir: str | None) -> dict[str, str]:
    """Return the variables of a run: the service's address and token, which no command line shows, and its folder."""
    named = {URL_VARIABLE: address.url, TOKEN_VARIABLE: address.token, DATA_DIR_VARIABLE: data_dir}
    return {**os.environ, **{name: value for name, value in named.items() if value}}


def _interrupt(number: int, frame: object) -> NoReturn:
    del number, frame
    raise KeyboardInterrupt


def _end_with_parent() -> None:
    """Let the kernel end this process when its parent is killed."""
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)
