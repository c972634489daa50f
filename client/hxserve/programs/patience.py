"""Requests that outlast a queue, a maintenance and a restart of the service, and say in the log why they wait."""

import itertools
import time
from collections.abc import Callable
from typing import Any, Final

from urllib3 import BaseHTTPResponse

from hxserve.errors import ConnectionFailedError, ServiceError, SharedChipError
from hxserve.transport import LONGEST_RETRY_AFTER_S, Transport, problem
from hxtorch_emulator import logger

PATIENCE_S: Final = 120.0
_IN_LINE: Final = frozenset({"still_waiting"})
_IN_MAINTENANCE: Final = frozenset({"chip_in_maintenance"})
_SILENT_S: Final = 1.0
_TELL_EVERY_S: Final = 15.0
_LEAST_PAUSE_S: Final = 0.1
_LONGEST_PAUSE_S: Final = 2.0

_log = logger.get(__name__).python_logger


def request_patiently(
    transport: Transport,
    method: str,
    path: str,
    *,
    patience_s: float,
    outlasts_maintenance: bool = True,
    describe_line: Callable[[], str] = lambda: "others go before",
    **options: Any,
) -> BaseHTTPResponse:
    """Send a request until the service has answered it; return the answer.

    It waits while the request stands in line, however long that takes, and while the service or the chip is away, for
    up to `patience_s`.

    Args:
        transport: to the service.
        method: HTTP method.
        path: from `/` on.
        patience_s: longest absence of the service or its chip, in seconds.
        outlasts_maintenance: wait for the end of a chip's maintenance, too, however long it takes.
        describe_line: says for the log what goes before the request.
        **options: those of `Transport.request`.

    Raises:
        SharedChipError: the service refused, or stayed away.
    """
    endless = _IN_LINE | _IN_MAINTENANCE if outlasts_maintenance else _IN_LINE
    waiting = _Waiting(patience_s, endless, describe_line)
    while True:
        try:
            response = transport.request(method, path, retry=False, **options)
        except ConnectionFailedError as error:
            waiting.after(error)
            continue
        if response.status < 300:
            waiting.end()
            return response
        waiting.after(problem(response))


class _Waiting:
    """The waiting of one request: from its first failure on."""

    def __init__(self, patience_s: float, endless: frozenset[str], describe_line: Callable[[], str]) -> None:
        self._describe_line = describe_line
        self._patience_s = patience_s
        self._endless = endless
        self._since_s: float | None = None
        self._away_since_s: float | None = None
        self._told_at_s: float | None = None
        self._pauses = itertools.chain((0.0, 0.1, 0.2, 0.5, 1.0), itertools.repeat(_LONGEST_PAUSE_S))

    def after(self, failure: ConnectionFailedError | ServiceError) -> None:
        """Pause before the next try.

        Raises:
            SharedChipError: another try is useless.
        """
        now_s = time.monotonic()
        self._since_s = now_s if self._since_s is None else self._since_s
        if failure.code in self._endless:
            self._away_since_s = None
        else:
            self._away_since_s = now_s if self._away_since_s is None else self._away_since_s
            self._give_up_if_useless(failure, now_s - self._away_since_s)
        self._tell(failure, now_s)
        time.sleep(self._pause_s(failure))

    def end(self) -> None:
        """Say that the waiting is over, if it was mentioned."""
        if self._since_s is not None and self._told_at_s is not None:
            _log.info("the program goes on after %.0f s", time.monotonic() - self._since_s)

    def _give_up_if_useless(self, failure: ConnectionFailedError | ServiceError, away_s: float) -> None:
        pause_s = _retry_after_s(failure) or 0.0
        if not failure.retryable:
            raise SharedChipError(failure.detail, failure.code) from failure
        if pause_s > LONGEST_RETRY_AFTER_S:
            raise SharedChipError(f"{failure.detail}; try again in {pause_s:g} s", failure.code) from failure
        if away_s + pause_s > self._patience_s:
            raise SharedChipError(
                f"{failure.detail}; tried for {away_s:.0f} s", failure.code, retryable=True
            ) from failure

    def _pause_s(self, failure: ConnectionFailedError | ServiceError) -> float:
        if failure.code in _IN_LINE:
            return _LEAST_PAUSE_S  # the service has held the request as long as it could
        asked_s = _retry_after_s(failure)
        return next(self._pauses) if asked_s is None else max(asked_s, _LEAST_PAUSE_S)

    def _tell(self, failure: ConnectionFailedError | ServiceError, now_s: float) -> None:
        assert self._since_s is not None
        waited_s = now_s - self._since_s
        pause_s = _retry_after_s(failure) or 0.0
        if waited_s + pause_s < _SILENT_S and failure.code not in _IN_LINE:
            return
        if self._told_at_s is not None and now_s - self._told_at_s < _TELL_EVERY_S:
            return
        self._told_at_s = now_s
        if failure.code in self._endless:
            reason = self._describe_line() if failure.code in _IN_LINE else failure.detail
            _log.info("waiting for the chip, for %.0f s so far: %s", waited_s, reason)
        else:
            _log.warning(
                "waiting for the service, for %.0f s so far and %.0f s at most: %s",
                waited_s,
                self._patience_s,
                failure.detail,
            )


def _retry_after_s(failure: ConnectionFailedError | ServiceError) -> float | None:
    return failure.retry_after_s if isinstance(failure, ServiceError) else None
