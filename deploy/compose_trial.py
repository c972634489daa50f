"""`python -m deploy.compose_trial`: what docker-compose.yml promises, tried on this machine's engine.

Builds and starts the service, trains, reads digits, kills each container in turn while it works and sees it come back,
takes everything down and up again, and prints what was found. Its containers, volumes and secrets are its own and
are removed at the end; ports are any that are free.
"""

import argparse
import hashlib
import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from client import Client
from client.errors import ClientError
from client.jobs import Job
from deploy.crop_stream import CropStream
from deploy.dashboard import ask_dashboard
from deploy.engine import Compose, Container
from deploy.local import free_port
from services.errors import HxserveError, UnavailableError
from worker.learning.datasets import load_dataset

ROOT: Final = Path(__file__).resolve().parent.parent
PROJECT: Final = "hxserve-trial"
MODEL: Final = "digits"
TRAINING: Final[dict[str, Any]] = {"recipe": "strong", "dataset": "digits", "epochs": 12, "seed": 1}
BASIC: Final = ("redis", "api", "proxy", "worker")
_HEALTHY_S: Final = 240.0
_CROPS: Final = 20
_LEAST_ACCURACY: Final = 0.9


@dataclass(frozen=True, slots=True)
class Step:
    """One thing that was tried, what was found, and how long it took."""

    tried: str
    found: str
    took_s: float


@dataclass(slots=True)
class Trial:
    """The service under trial: `steps` are what was found so far."""

    compose: Compose
    client: Client
    prometheus: str
    secrets: Path
    services: tuple[str, ...]
    crops: NDArray[np.uint8]
    labels: NDArray[np.int64]
    steps: list[Step] = field(default_factory=list)

    def start(self) -> None:
        """Builds the images and starts what needs no token; then the rest."""
        with self._step("build the images") as note:
            self.compose.run("build")
            note("built")
        basic = [name for name in self.services if name != "prometheus"]
        with self._step("up") as note:
            self.compose.run("up", "--detach", *basic)
            self.compose.wait_until_healthy(basic, _HEALTHY_S)
            note(f"{len(self.compose.containers())} containers healthy")
        if "prometheus" in self.services:
            with self._step("up, with Prometheus under a token of its own") as note:
                token = self.client.users.add("prometheus")["token"]
                (self.secrets / "metrics_token").write_text(token)
                self.compose.run("up", "--detach", "prometheus")
                self.compose.wait_until_healthy(["prometheus"], _HEALTHY_S)
                note("healthy")

    def look_for_secrets(self) -> None:
        """Looks for every secret in all that the engine tells of the containers, and for a published Redis."""
        with self._step("look for secrets in `docker inspect`") as note:
            containers = self.compose.containers()
            secrets = {path.name: path.read_text().strip() for path in self.secrets.iterdir()}
            told = {one.name: json.dumps(dict(one.inspected)) for one in containers}
            seen = sorted(
                f"{secret} in {name}"
                for name, said in told.items()
                for secret, value in secrets.items()
                if value in said
            )
            ports = [
                one.inspected["NetworkSettings"]["Ports"] for one in containers if one.service == "redis"
            ]
            if seen or any(binding for port in ports for binding in port.values()):
                raise UnavailableError(f"secrets that can be seen: {seen}; ports of Redis: {ports}")
            note(f"none of {len(secrets)} in {len(containers)} containers; Redis has no port outside")

    def work(self) -> str:
        """Trains the model that all later ones are compared with, and reads digits; the digest of its weights."""
        with self._step("train and read digits") as note:
            weights = self._weights_of(self.client.train(MODEL, wait=True, **TRAINING).expect_success())
            self.client.set_alias(MODEL, "production", 1)
            self.client.users.add("ada", quotas={"max_queued_jobs": 3})
            note(f"{self._read():.1%} of {len(self.labels)} read correctly")
        return weights

    def ask_prometheus(self) -> None:
        """Asks Prometheus what the dashboard asks it, once it has seen every process of the API twice."""
        if "prometheus" not in self.services:
            return
        with self._step("ask Prometheus what the dashboard asks") as note:
            processes = sum(one.service == "api" for one in self.compose.containers())
            asked, with_data = ask_dashboard(self.prometheus, processes, _HEALTHY_S)
            note(f"{asked} queries understood, {with_data} with data")

    def kill_each(self, weights: str) -> None:
        """Kills each container while a training and a stream of crops run, and sees everything done all the same."""
        for container in self.compose.containers():
            with self._step(
                f"SIGKILL {container.service} ({container.name.rpartition(PROJECT)[2][1:]})"
            ) as note:
                note(self._disturb(container, weights))

    def go_down_and_up(self) -> None:
        """Takes all containers away and makes them anew, on the same volumes."""
        before = self._inventory()
        with self._step("down, up") as note:
            self.compose.run("down")
            self.compose.run("up", "--detach", *self.services)
            self.compose.wait_until_healthy(self.services, _HEALTHY_S)
            after = self._inventory()
            if after != before:
                raise UnavailableError(f"not the same after down and up: {before} became {after}")
            counts = ", ".join(f"{len(found)} {what}" for what, found in after.items())
            note(f"{counts} as before; {self._read():.1%} read correctly")

    def _disturb(self, container: Container, weights: str) -> str:
        job = self.client.train(MODEL, **TRAINING)
        self._wait_for_progress(job)
        with CropStream(self.client, MODEL, self.crops[:_CROPS]) as stream:
            stream.wait_for(3)
            killed = time.monotonic()
            self.compose.kill(self._current(container))
            self.compose.wait_until_back(container, _HEALTHY_S)
            back_s = time.monotonic() - killed
            stream.wait_for(stream.answered + 3)
        done = self.client.wait(job).expect_success()
        same = self._weights_of(done) == weights
        if not same:
            raise UnavailableError(f"the training during which {container.name} was killed has other weights")
        return (
            f"healthy again after {back_s:.1f} s; training done, same weights; {stream.answered} requests of "
            f"{_CROPS} crops answered, none lost, longest {stream.longest_s:.1f} s"
        )

    def _current(self, container: Container) -> Container:
        """The container as it is now, for others may have been started again."""
        return next(one for one in self.compose.containers() if one.id == container.id)

    def _wait_for_progress(self, job: Job) -> None:
        until = time.monotonic() + _HEALTHY_S
        while self.client.job(job.id).progress <= 0:
            if time.monotonic() > until:
                raise UnavailableError(f"training {job.id} does not begin")
            time.sleep(0.1)

    def _weights_of(self, job: Job) -> str:
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "weights"
            self.client.download_weights(MODEL, (job.result or {})["version"], path)
            return hashlib.sha256(path.read_bytes()).hexdigest()

    def _read(self) -> float:
        accuracy = float((np.array(self.client.classify(self.crops, MODEL).digits) == self.labels).mean())
        if accuracy < _LEAST_ACCURACY:
            raise UnavailableError(f"only {accuracy:.1%} of the digits are read correctly")
        return accuracy

    def _inventory(self) -> dict[str, list[str]]:
        """What must be there after everything was taken down."""
        versions = self.client.model(MODEL)["versions"]
        return {
            "models": sorted(model["name"] for model in self.client.models()),
            "versions": sorted(str(version) for version in versions),
            "jobs": sorted(f"{job.id} {job.state}" for job in self.client.jobs(limit=100)),
            "users": sorted(user["name"] for user in self.client.users.list()),
        }

    @contextmanager
    def _step(self, tried: str) -> Iterator[Callable[[str], None]]:
        print(f"... {tried}", file=sys.stderr, flush=True)  # noqa: T201 the operator's terminal
        started = time.monotonic()
        found: list[str] = []
        yield found.append
        self.steps.append(Step(tried, "; ".join(found), time.monotonic() - started))


@contextmanager
def _project(options: argparse.Namespace) -> Iterator[Trial]:
    with tempfile.TemporaryDirectory(prefix="hxserve-trial-") as name:
        secrets = Path(name)
        subprocess.run(["sh", str(ROOT / "deploy/make_secrets.sh"), name], check=True, stdout=sys.stderr)  # noqa: S603, S607 our own script
        (secrets / "metrics_token").touch()
        published = ("PUBLISH", "PUBLISH_FLOWER", "PUBLISH_GRAFANA", "PUBLISH_PROMETHEUS")
        ports = {variable: free_port("127.0.0.1", 0) for variable in published}
        variables = {variable: f"127.0.0.1:{port}" for variable, port in ports.items()}
        variables |= {"SECRETS": name, "TAG": "trial"}
        compose = Compose(ROOT, PROJECT, variables, options.env_file)
        dataset = load_dataset("digits")
        crops, labels = dataset.test_images.numpy(), dataset.test_labels.numpy()
        token = (secrets / "admin_token").read_text()
        try:
            with Client(f"http://127.0.0.1:{ports['PUBLISH']}", token, retries=12) as client:
                prometheus = f"http://127.0.0.1:{ports['PUBLISH_PROMETHEUS']}"
                yield Trial(compose, client, prometheus, secrets, (*BASIC, *options.also), crops, labels)
        finally:
            compose.run("down", "--volumes", "--remove-orphans")


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs the trial and prints its summary; the exit status."""
    options = _parser().parse_args(arguments)
    try:
        with _project(options) as trial:
            trial.start()
            trial.look_for_secrets()
            weights = trial.work()
            trial.ask_prometheus()
            trial.kill_each(weights)
            trial.go_down_and_up()
    except (HxserveError, ClientError) as error:
        print(f"compose trial: {error}", file=sys.stderr)  # noqa: T201 the operator's terminal
        return 1
    print("| tried | found | seconds |\n| --- | --- | --- |")  # noqa: T201 what was asked for
    for step in trial.steps:
        print(f"| {step.tried} | {step.found} | {step.took_s:.0f} |")  # noqa: T201 the same
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser("python -m deploy.compose_trial", description=__doc__)
    parser.add_argument("--env-file", type=Path, help="variables, such as `deploy.local_images` prints")
    parser.add_argument(
        "--also",
        nargs="*",
        default=[],
        choices=("flower", "grafana", "prometheus", "worker-2"),
        help="services of the profiles that are tried too",
    )
    return parser


if __name__ == "__main__":
    sys.exit(main())
