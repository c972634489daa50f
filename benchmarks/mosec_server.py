"""The same network behind mosec, with dynamic batching: `python mosec_server --port PORT` in its environment."""

import os
from pathlib import Path

from mosec import Server, Worker  # type: ignore[import-not-found]  # lives in its own environment

from benchmarks.classifiers import load_classifier

_BATCH_REQUESTS = 64
_WAIT_MS = 1


class Classify(Worker):  # type: ignore[misc]  # mosec is not installed where types are checked
    """One process with the network."""

    def __init__(self) -> None:
        self._read = load_classifier(Path(os.environ["BENCH_VERSION"]))

    def deserialize(self, data: bytes) -> bytes:
        """Return raw crops as they are: they need no decoding."""
        return data

    def forward(self, data: list[bytes]) -> list[dict[str, list[dict[str, int]]]]:
        """Return the digits of several requests, read in one forward pass."""
        digits = iter(self._read(b"".join(data)))
        return [{"predictions": [{"digit": next(digits)} for _ in range(len(one) // 784)]} for one in data]


if __name__ == "__main__":
    server = Server()
    server.append_worker(Classify, max_batch_size=_BATCH_REQUESTS, max_wait_time=_WAIT_MS)
    server.run()
