"""The same network behind LitServe with dynamic batching: `python litserve_server PORT` in its environment."""

import base64
import os
import sys
from pathlib import Path
from typing import Any

import litserve  # type: ignore[import-not-found]  # lives in its own environment

from benchmarks.classifiers import load_classifier

_BATCH_REQUESTS = 64
_WAIT_S = 0.001

Answer = dict[str, list[dict[str, int]]]


class Classify(litserve.LitAPI):  # type: ignore[misc]  # litserve is not installed where types are checked
    """One process with the network; LitServe takes JSON, so the crops are in base64."""

    def setup(self, device: str) -> None:
        """Load the network."""
        del device
        self._read = load_classifier(Path(os.environ["BENCH_VERSION"]))

    def decode_request(self, request: dict[str, Any]) -> bytes:
        """Return the crops of a request."""
        return base64.b64decode(request["crops"])

    def batch(self, inputs: list[bytes]) -> list[bytes]:
        """Keep the requests apart; `predict` joins them."""
        return inputs

    def predict(self, x: list[bytes]) -> list[Answer]:
        """Return the digits of several requests, read in one forward pass."""
        digits = iter(self._read(b"".join(x)))
        return [{"predictions": [{"digit": next(digits)} for _ in range(len(one) // 784)]} for one in x]

    def unbatch(self, output: list[Answer]) -> list[Answer]:
        """Return the answers as they are: `predict` gives one per request."""
        return output

    def encode_response(self, output: Answer) -> Answer:
        """Return the answer as it is: it can be written as JSON."""
        return output


if __name__ == "__main__":
    api = Classify(max_batch_size=_BATCH_REQUESTS, batch_timeout=_WAIT_S)
    server = litserve.LitServer(api, accelerator="cpu", timeout=30, fast_queue=True)
    server.run(host="127.0.0.1", port=int(sys.argv[1]), generate_client_file=False, log_level="error")
