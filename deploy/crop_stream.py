"""A stream of requests for crops, to see whether one is lost while a service is disturbed."""

import threading
import time
from typing import Self

import numpy as np
from numpy.typing import NDArray

from client import Client
from client.errors import ClientError


class CropStream:
    """Requests for crops, one after the other, until left; the first that fails ends the trial.

    The client repeats what fails on the way, as those that users install do.
    """

    def __init__(self, client: Client, model: str, crops: NDArray[np.uint8]) -> None:
        self.answered = 0
        self.longest_s = 0.0
        self._client = client
        self._model = model
        self._crops = crops
        self._failure: ClientError | None = None
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._send, daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *exception: object) -> None:
        self._stopping.set()
        self._thread.join()
        if self._failure:
            raise self._failure

    def wait_for(self, answers: int) -> None:
        """Returns when so many requests are answered, or one has failed."""
        while self.answered < answers and self._thread.is_alive():
            time.sleep(0.05)

    def _send(self) -> None:
        while not self._stopping.wait(0.02):
            started = time.monotonic()
            try:
                predictions = self._client.classify(self._crops, self._model)
            except ClientError as error:
                self._failure = error
                return
            assert len(predictions) == len(self._crops)
            self.longest_s = max(self.longest_s, time.monotonic() - started)
            self.answered += 1
