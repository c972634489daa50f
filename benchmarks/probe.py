"""A user who sends one crop now and then, and how long each answer takes."""

import http.client
import threading
import time
from typing import Final

import numpy as np

_EVERY_S: Final = 0.05


class Probe:
    """One keep-alive connection that sends a prepared request every 50 ms, from `start` to `stop`.

    Each latency runs from when the request was due, so that a late answer is not hidden by sending less.
    """

    def __init__(self, port: int, path: str, crop: bytes, token: str) -> None:
        self._connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
        self._path = path
        self._crop = crop
        self._headers = {"Authorization": f"Bearer {token}", "Content-Type": "application/octet-stream"}
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._send, name="probe", daemon=True)
        self.latencies_ms: list[float] = []
        self.failures = 0

    def start(self) -> None:
        """Begins to send."""
        self._thread.start()

    def stop(self) -> None:
        """Ends it."""
        self._stopping.set()
        self._thread.join()
        self._connection.close()

    def figures(self) -> dict[str, float]:
        """Median, 99th percentile and slowest, in milliseconds, of how many requests; and how many failed."""
        p50, p99 = np.percentile(self.latencies_ms, (50, 99))
        return {
            "requests": len(self.latencies_ms),
            "failures": self.failures,
            "p50_ms": round(float(p50), 2),
            "p99_ms": round(float(p99), 2),
            "slowest_ms": round(max(self.latencies_ms), 2),
        }

    def _send(self) -> None:
        due = time.monotonic()
        while not self._stopping.wait(max(0.0, due - time.monotonic())):
            self._connection.request("POST", self._path, self._crop, self._headers)
            response = self._connection.getresponse()
            response.read()
            self.latencies_ms.append(1000 * (time.monotonic() - due))
            self.failures += response.status != http.client.OK
            due += _EVERY_S
