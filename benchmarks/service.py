"""hxserve as its users start it, and the few calls that a measurement makes."""

import json
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

from benchmarks.context import MeasurementError
from benchmarks.probe import Probe
from benchmarks.processes import ROOT, ProcessError, Served, Started, started

_READY_LIMIT_S: Final = 120.0
_FINAL: Final = frozenset({"succeeded", "failed", "cancelled", "expired"})


class Service:
    """A running hxserve."""

    def __init__(self, url: str, token: str, process: Started) -> None:
        self.url = url
        self.token = token
        self.credentials = {"Authorization": f"Bearer {token}"}
        self.served = Served(int(url.rpartition(":")[2]), (process,))

    def call(
        self, method: str, path: str, body: object = None, *, token: str | None = None
    ) -> dict[str, Any]:
        """The JSON that a call answers with; without a token of another user it is the admin's.

        Raises:
            MeasurementError: when the service refuses; the message holds its words.
        """
        content = body if isinstance(body, bytes) else json.dumps(body).encode() if body is not None else None
        kind = "application/octet-stream" if isinstance(body, bytes) else "application/json"
        request = urllib.request.Request(  # noqa: S310  # our own address
            self.url + path,
            data=content,
            method=method,
            headers={"Authorization": f"Bearer {token or self.token}", "Content-Type": kind},
        )
        try:
            with urllib.request.urlopen(request, timeout=90) as response:  # noqa: S310  # our own address
                answer: dict[str, Any] = json.load(response)
        except urllib.error.HTTPError as error:
            raise MeasurementError(f"{method} {path}: {error.code} {error.read()[:500]!r}") from error
        return answer

    def start_training(self, model: str, **params: object) -> str:
        """The id of a new training job."""
        job = self.call("POST", "/v1/jobs", {"kind": "training", "model": model, "params": params})
        return str(job["id"])

    def probe(self, model: str, crop: bytes) -> Probe:
        """A user who sends one crop now and then."""
        return Probe(self.served.port, self.classify_path(model), crop, self.token)

    def job(self, job_id: str) -> dict[str, Any]:
        """The record of a job as it is now."""
        return self.call("GET", f"/v1/jobs/{job_id}")

    def await_end(self, job_id: str) -> dict[str, Any]:
        """The record of a job that has succeeded.

        Raises:
            MeasurementError: when it ended otherwise.
        """
        job = self.job(job_id)
        while job["state"] not in _FINAL:
            job = self.call("GET", f"/v1/jobs/{job_id}?wait=30")
        if job["state"] != "succeeded":
            raise MeasurementError(f"job {job_id} {job['state']}: {job['error']}")
        return job

    @contextmanager
    def training_beside(self, model: str) -> Iterator[str]:
        """The id of a training that runs for the length of a `with` block.

        Raises:
            MeasurementError: when it ended earlier.
        """
        job_id = self.start_training(model, recipe="strong", dataset="digits", epochs=200)
        try:
            self.await_running(job_id)
            yield job_id
            job = self.job(job_id)
            if job["state"] != "running":
                raise MeasurementError(f"the training beside the load is {job['state']}: {job['error']}")
        finally:
            self.cancel(job_id)

    def await_running(self, job_id: str) -> None:
        """Returns when the job has made its first progress."""
        while self.job(job_id)["progress"] == 0.0:
            time.sleep(0.1)

    def cancel(self, job_id: str) -> None:
        """Ends a job and waits until it has ended."""
        self.call("POST", f"/v1/jobs/{job_id}/cancel")
        while self.job(job_id)["state"] not in _FINAL:
            time.sleep(0.1)

    def digits_of(self, model: str, crops: bytes) -> list[int]:
        """What the model reads in crops of 784 bytes each."""
        answer = self.call("POST", self.classify_path(model), crops)
        return [int(prediction["digit"]) for prediction in answer["predictions"]]

    @staticmethod
    def classify_path(model: str) -> str:
        """The path that takes raw crops and waits for their digits."""
        return f"/v1/models/{model}/classify?wait=30"

    @staticmethod
    def infer_path(model: str) -> str:
        """The path of the Open Inference Protocol."""
        return f"/v2/models/{model}/infer"


@contextmanager
def running_service(
    data_dir: Path,
    mnist: Path | None = None,
    *,
    chip: str = "mock",
    chips: int = 1,
    env: Mapping[str, str] | None = None,
    checkout: Path = ROOT,
) -> Iterator[Service]:
    """The whole service on a free port, as its users start it.

    Args:
        data_dir: where it keeps everything.
        mnist: folder of MNIST, if there is one.
        chip: what executes.
        chips: how many.
        env: settings besides.
        checkout: whose service; another one than this needs its environment in `.venv`.

    Raises:
        ProcessError: when it does not become ready; the message holds its last words.
    """
    program = (
        Path(sys.executable).with_name("hxserve") if checkout == ROOT else checkout / ".venv/bin/hxserve"
    )
    command = [str(program), "up", "--data-dir", str(data_dir), "--port", "0", "--chip", chip]
    if chips > 1:
        command += ["--chips", str(chips)]
    if mnist is not None:
        command += ["--mnist", str(mnist)]
    data_dir.parent.mkdir(parents=True, exist_ok=True)
    log = data_dir.with_name(data_dir.name + ".log")
    with started(command, log=log, env=env, folder=checkout) as process:
        _await_url(process, data_dir / "url")
        url, token = ((data_dir / name).read_text().strip() for name in ("url", "admin-token"))
        yield Service(url, token, process)


def _await_url(process: Started, url: Path) -> None:
    deadline = time.monotonic() + _READY_LIMIT_S
    while not url.is_file():
        if process.ended or time.monotonic() > deadline:
            raise ProcessError(f"the service is not ready: {process.log_tail()}")
        time.sleep(0.05)
