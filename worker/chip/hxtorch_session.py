"""The real chip, open: its failures translated, and its connection opened again when it is lost."""

import logging
import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Final, NoReturn

from services.errors import ChipError, ChipLostError, ChipUnavailableError
from worker.chip.breaker import Breaker
from worker.chip.hxtorch_connection import HxtorchConnection, import_hxtorch
from worker.chip.self_test import check_chip
from worker.chip.session import ChipSession, Loaded

PAUSES_S: Final = (0.0, 0.5, 1.0)
"""Pauses before the tries to open a lost connection again: few and short, for the worker's turn waits."""

_SIGTERM_STATUS: Final = 128 + signal.SIGTERM
_log = logging.getLogger(__name__)


class HxtorchSession(ChipSession):
    """A chip that hxtorch drives.

    When work fails on it, a small product with a known answer separates a lost connection from work that the chip
    refused. A lost one is opened again, a few times with growing pauses; then a circuit breaker refuses all
    work at once, and allows one further try after each of its pauses.
    """

    backend = "hxtorch"

    def __init__(
        self,
        chip: str,
        connection: HxtorchConnection,
        loaded: Loaded,
        *,
        canary_limit: float,
        breaker: Breaker,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        super().__init__(chip, connection.perceptron, loaded, canary_limit=canary_limit)
        self._connection = connection
        self._breaker = breaker
        self._sleep = sleep

    @property
    def is_connected(self) -> bool:
        """Whether the last attempt to reach the chip succeeded."""
        return self._breaker.is_closed

    @contextmanager
    def guarded(self) -> Iterator[None]:
        """Guard work on the chip.

        Exceptions of torch and Python for wrong input (`OverflowError`, `ValueError`) pass unchanged.

        Raises:
            ChipError: the chip failed at the work but still answers; running it again may succeed.
            ChipLostError: the connection was lost; it is open again, or will be tried again later.
        """
        if not self._breaker.is_closed:
            self._try_again()
        try:
            yield
        except (RuntimeError, OSError) as error:
            _log.warning("work on the chip failed: %s", error)
            if self._answers():
                raise ChipError(f"the chip failed at a piece of work, but still answers: {error}") from error
            self._reconnect()
            raise ChipLostError(
                "the connection to the chip was lost and is open again; run the work again"
            ) from error

    def calibrate(self) -> NoReturn:
        """Refuse: calibrations of real chips come from outside."""
        raise ChipUnavailableError(
            "a real chip is not calibrated from here: let calix make the calibration, name its folder with "
            "`--calibration`, and start the worker again to load the latest"
        )

    def _answers(self) -> bool:
        try:
            check_chip(self.perceptron, mock=False)
        except (ChipError, RuntimeError, ValueError, OSError) as error:
            _log.warning("the chip does not answer its self-test: %s", error)
            return False
        return True

    def _reconnect(self) -> None:
        for pause_s in PAUSES_S:
            self._sleep(pause_s)
            if self._open():
                return
        self._breaker.note_failure()
        raise self._lost()

    def _try_again(self) -> None:
        if self._breaker.wait_s > 0:
            raise self._lost()
        if not self._open():
            self._breaker.note_failure()
            raise self._lost()
        self._breaker.note_success()

    def _open(self) -> bool:
        try:
            loaded = self._connection.open()
        except ChipError as error:
            _log.warning("the chip could not be opened again: %s", error.message)
            return False
        if loaded.identifier != self.identifier:
            _log.error("another chip answers: %s instead of %s", loaded.identifier, self.identifier)
            self._connection.close()
            return False
        if loaded.calibration == self._loaded.calibration:
            # Drift is judged from the calibration on, however often the connection was lost since.
            loaded = replace(loaded, reference=self._loaded.reference)
        self._loaded = loaded
        return True

    def _lost(self) -> ChipLostError:
        wait_s = self._breaker.wait_s
        return ChipLostError(
            f"the connection to the chip is lost; it is tried again in {wait_s:.0f} s", retry_after_s=wait_s
        )


@contextmanager
def open_hxtorch(
    chip: str, calibration: Path | None, calibrations: Path, *, canary_limit: float
) -> Iterator[HxtorchSession]:
    """Open the real chip, load its calibration and test it; it is given back on every exit, SIGTERM included.

    The arguments are those of `open_chip`; without any calibration hxtorch takes its default.

    Raises:
        ChipUnavailableError: hxtorch, the way to a chip or the calibration is missing.
        ChipError: the chip cannot be opened or does not pass its self-test.
    """
    connection = HxtorchConnection(*import_hxtorch(), calibration, calibrations)
    with _terminating():
        try:
            loaded = connection.open()
            yield HxtorchSession(chip, connection, loaded, canary_limit=canary_limit, breaker=Breaker())
        finally:
            connection.close()


@contextmanager
def _terminating() -> Iterator[None]:
    """Let SIGTERM unwind the stack where it would end the process on the spot, with the chip still taken."""
    default = signal.getsignal(signal.SIGTERM) == signal.SIG_DFL
    if not default or threading.current_thread() is not threading.main_thread():
        yield
        return
    signal.signal(signal.SIGTERM, _exit)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, signal.SIG_DFL)


def _exit(number: int, frame: object) -> NoReturn:
    del number, frame
    raise SystemExit(_SIGTERM_STATUS)
