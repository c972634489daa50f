"""hxserve as its users start it, and the calls that measurements make."""

import json
import sys
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

from benchmarks.context import MeasurementError
from benchmarks.processes import ROOT, Process, ProcessError, Server, started

_READY_LIMIT_S: Final = 120.0
_FINAL: Final = frozenset({"succeeded", "failed", "cancelled", "expired"})


class Service:
    """A running hxserve, used by its admin unless a call names another user."""

    def __init__(self, url: str, token: str, process: Process, grpc: str = "") -> None:
        self.url = url
        self.token = token
        self.credentials = {"Authorization": f"Bearer {token}"}
        port, grpc_port = (int(address.rpartition(":")[2] or 0) for address in (url, grpc))
        self.server = Server(port, (process.pid,), grpc_port)
        self._tokens: dict[str, str] = {}
        self._creating_user = threading.Lock()

    def call(self, method: str, path: str, body: object = None, *, user: str = "") -> dict[str, Any]:
        """Return the JSON answer of a call; a user that does not exist yet is created.

        Raises:
            MeasurementError: the service refuses; the message holds its answer.
        """
        token = self.token_of(user)
        content = body if isinstance(body, bytes) else json.dumps(body).encode() if body is not None else None
        kind = "application/octet-stream" if isinstance(body, bytes) else "application/json"
        request = urllib.request.Request(  # noqa: S310  # our own address
            self.url + path,
            data=content,
            method=method,
            headers={"Authorization": f"Bearer {token}", "Content-Type": kind},
        )
        try:
            with urllib.request.urlopen(request, timeout=90) as response:  # noqa: S310  # our own address
                answer: dict[str, Any] = json.load(response)
        except urllib.error.HTTPError as error:
            raise MeasurementError(f"{method} {path}: {error.code} {error.read()[:500]!r}") from error
        return answer

    def submit(self, kind: str, model: str, params: Mapping[str, object], *, user: str = "") -> str:
        """Submit a job; return its id."""
        job = self.call("POST", "/v1/jobs", {"kind": kind, "model": model, "params": params}, user=user)
        return str(job["id"])

    def train(self, model: str, *, user: str = "", **params: object) -> str:
        """Submit a training; return its id."""
        return self.submit("training", model, params, user=user)

    def job(self, job_id: str) -> dict[str, Any]:
        """Return the current record of a job."""
        return self.call("GET", f"/v1/jobs/{job_id}")

    def await_end(self, job_id: str) -> dict[str, Any]:
        """Return the record of a job, when it has succeeded.

        Raises:
            MeasurementError: it ended in another way.
        """
        job = self.job(job_id)
        while job["state"] not in _FINAL:
            job = self.call("GET", f"/v1/jobs/{job_id}?wait=30")
        if job["state"] != "succeeded":
            raise MeasurementError(f"job {job_id} {job['state']}: {job['error']}")
        return job

    def await_running(self, job_id: str) -> None:
        """Return when the job has made its first progress."""
        while self.job(job_id)["progress"] == 0.0:
            time.sleep(0.1)

    def cancel(self, job_id: str) -> None:
        """Cancel a job, and return when it has ended."""
        self.call("POST", f"/v1/jobs/{job_id}/cancel")
        while self.job(job_id)["state"] not in _FINAL:
            time.sleep(0.1)

    @contextmanager
    def training_beside(self, model: str, *, user: str = "") -> Iterator[str]:
        """Run a training for the length of a `with` block; yield its id.

        Raises:
            MeasurementError: it ended earlier.
        """
        job_id = self.train(model, user=user, recipe="strong", dataset="digits", epochs=200)
        try:
            self.await_running(job_id)
            yield job_id
            job = self.job(job_id)
            if job["state"] != "running":
                raise MeasurementError(f"the training beside the load is {job['state']}: {job['error']}")
        finally:
            self.cancel(job_id)

    def digits_of(self, model: str, crops: bytes) -> list[int]:
        """Return the digits that the model reads in crops of 784 bytes each."""
        answer = self.call("POST", self.classify_path(model), crops)
        return [int(prediction["digit"]) for prediction in answer["predictions"]]

    @staticmethod
    def classify_path(model: str) -> str:
        """Return the path that takes raw crops and waits for their digits."""
        return f"/v1/models/{model}/classify?wait=30"

    @staticmethod
    def infer_path(model: str) -> str:
        """Return the path of the Open Inference Protocol."""
        return f"/v2/models/{model}/infer"

    def token_of(self, user: str) -> str:
        """Return the token of a user, who is created at first; the admin's without a name."""
        if not user:
            return self.token
        with self._creating_user:
            if user not in self._tokens:
                self._tokens[user] = str(self.call("POST", "/v1/users", {"name": user})["token"])
            return self._tokens[user]


@contextmanager
def running_service(
    data_dir: Path,
    mnist: Path | None = None,
    *,
    chip: str = "mock",
    chips: int = 1,
    has_grpc: bool = False,
    env: Mapping[str, str] | None = None,
    checkout: Path = ROOT,
) -> Iterator[Service]:
    """Run the whole service on a free port, started by `hxserve up`.

    Args:
        data_dir: Its data folder; the parent receives its log.
        mnist: Folder of MNIST.
        chip: Kind of chip.
        chips: Number of chips.
        has_grpc: Whether it serves gRPC, too.
        env: Further environment variables.
        checkout: The checkout whose service is started; one other than this needs its environment in `.venv`.

    Raises:
        ProcessError: it does not become ready; the message holds the end of its log.
    """
    program = Path(sys.executable).parent if checkout == ROOT else checkout / ".venv" / "bin"
    command = [str(program / "hxserve"), "up", "--data-dir", str(data_dir), "--port", "0", "--chip", chip]
    if chips > 1:
        command += ["--chips", str(chips)]
    if has_grpc:
        command += ["--grpc-port", "0"]
    if mnist is not None:
        command += ["--mnist", str(mnist)]
    data_dir.parent.mkdir(parents=True, exist_ok=True)
    log = data_dir.with_name(data_dir.name + ".log")
    with started(command, log=log, env=env, folder=checkout) as process:
        _await_url(process, data_dir / "url")
        url, token = ((data_dir / name).read_text().strip() for name in ("url", "admin-token"))
        grpc = (data_dir / "grpc").read_text() if has_grpc else ""
        yield Service(url, token, process, grpc)


@contextmanager
def real_time_service(data_dir: Path, model: str, *, chips: int = 1) -> Iterator[Service]:
    """Run a service on virtual chips that take the time of real ones, with a model to classify with."""
    environment = {"HXSERVE_EMULATOR_REALTIME": "1"}
    with running_service(data_dir, chip="emulator", chips=chips, env=environment) as service:
        service.await_end(service.train(model, recipe="strong", dataset="digits", epochs=1, execution="mock"))
        yield service


def _await_url(process: Process, url: Path) -> None:
    deadline = time.monotonic() + _READY_LIMIT_S
    while not url.is_file():
        if process.ended or time.monotonic() > deadline:
            raise ProcessError(f"the service is not ready: {process.log_tail()}")
        time.sleep(0.05)
