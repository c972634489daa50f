"""Crops to the service and likelihoods back, at the pace that the service can take."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import Final

import numpy as np
from numpy.typing import NDArray

from hxserve.client import Client
from hxserve.errors import ConnectionFailedError, ServiceError
from hxserve.predictions import Predictions
from hxserve_letters.likelihoods import Numbers, find_scale

_LEAST_PAUSE_S: Final = 0.1


class Sender:
    """Sends crops with one model; safe to share between threads.

    A refusal that says when to come back (a full queue: 429 with Retry-After) holds everybody up until then, and is
    counted; nothing is thrown away. `client` must not repeat requests itself.

    Attributes:
        refused: how often the service had no room.
        paused_s: how long senders waited because of it.
        crops: how many were answered.
        origin: the last answer, for its provenance.
    """

    def __init__(
        self,
        client: Client,
        model: str,
        version: str,
        *,
        patience_s: float = 60.0,
        now: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._client = client
        self._model = model
        self._version = version
        self._patience_s = patience_s
        self._now = now
        self._sleep = sleep
        self._lock = threading.Lock()
        self._open_at = 0.0
        self.refused = 0
        self.paused_s = 0.0
        self.crops = 0
        self.scale = 0.0
        self.origin: Predictions | None = None

    def read(self, crops: NDArray[np.uint8]) -> tuple[Numbers, float]:
        """Read crops (n, 28, 28); return their scores, (n, 10) in LSB, and the factor that makes likelihoods of them.

        Raises:
            ServiceError: the service refuses for good, or for longer than the patience.
            ConnectionFailedError: it stays away for longer than the patience.
        """
        started = self._now()
        while True:
            self._await_opening()
            try:
                answer = self._client.classify(crops, self._model, self._version)
                break
            except (ServiceError, ConnectionFailedError) as error:
                if not error.retryable or self._now() - started > self._patience_s:
                    raise
                self._close(error)
        scores = np.array([prediction.scores for prediction in answer], np.float64)
        with self._lock:
            self.crops += len(answer)
            self.origin = answer
            if not self.scale:
                self.scale = find_scale(scores, np.array(answer.confidences))
            return scores, self.scale

    def _await_opening(self) -> None:
        pause_s = self._open_at - self._now()
        if pause_s > 0:
            with self._lock:
                self.paused_s += pause_s
            self._sleep(pause_s)

    def _close(self, error: ServiceError | ConnectionFailedError) -> None:
        """Pause all senders for the time that the service asked for."""
        pause_s = error.retry_after_s if isinstance(error, ServiceError) else None
        with self._lock:
            self.refused += isinstance(error, ServiceError)
            self._open_at = max(self._open_at, self._now() + max(pause_s or 0.0, _LEAST_PAUSE_S))
