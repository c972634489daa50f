"""Everything on one machine, from one environment, without root: Redis, a worker, the API."""

import argparse
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final, NoReturn

from deploy.redis_server import redis_server
from services.errors import HxserveError, UnavailableError
from services.files import write_durably
from services.settings import Settings, load_settings
from services.users import ensure_admin_token

_READY_TIMEOUT_S: Final = 120.0
_STOP_TIMEOUT_S: Final = 20.0
_RESTART_AFTER_S: Final = 0.5


@dataclass(frozen=True, slots=True)
class Local:
    """A running service."""

    url: str
    token: str
    processes: Mapping[str, "Supervised"]

    def watch(self) -> NoReturn:
        """Starts again what ends by itself, until interrupted."""
        while True:
            for process in self.processes.values():
                process.revive()
            time.sleep(_RESTART_AFTER_S)


class Supervised:
    """A process of the service; its output goes to a file."""

    def __init__(self, module: str, environment: Mapping[str, str], log: Path) -> None:
        self._module = module
        self._environment = environment
        self.log = log
        self._process = self._start()

    @property
    def pid(self) -> int:
        """Its process id."""
        return self._process.pid

    def exit_status(self) -> int | None:
        """How it ended, or None while it runs."""
        return self._process.poll()

    def revive(self) -> None:
        """Starts it again if it has ended."""
        if self._process.poll() is not None:
            print(  # noqa: T201 the operator's terminal
                f"hxserve: {self._module} ended ({self._process.returncode}) and is started again; see {self.log}",
                file=sys.stderr,
            )
            self._process = self._start()

    def stop(self) -> None:
        """Asks it to end, and insists after a while."""
        if self._process.poll() is None:
            self._process.terminate()
        try:
            self._process.wait(_STOP_TIMEOUT_S)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()

    def last_words(self) -> str:
        """The end of its log."""
        return "\n".join(self.log.read_text("utf-8", "replace").splitlines()[-5:])

    def _start(self) -> "subprocess.Popen[bytes]":
        with self.log.open("ab") as output:
            # A session of its own: Ctrl-C reaches this process alone, which then stops the others in order.
            return subprocess.Popen(  # noqa: S603 our own modules
                [sys.executable, "-m", self._module],
                env=dict(self._environment),
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                start_new_session=True,
            )


@contextmanager
def running(settings: Settings, *, use_redis: bool) -> Iterator[Local]:
    """The whole service, ready; everything is stopped when the context ends.

    Args:
        settings: of all processes.
        use_redis: use the Redis that the settings name, instead of one of our own.

    Raises:
        HxserveError: a part does not start; the message says why.
    """
    data, logs = settings.data_dir, settings.data_dir / "logs"
    logs.mkdir(parents=True, exist_ok=True)
    token = ensure_admin_token(settings.token_file)
    port = settings.port or _free_port(settings.host)
    with ExitStack() as stack:
        redis_url = settings.redis_url
        if not use_redis:
            redis_url = stack.enter_context(redis_server(data / "redis", logs / "redis.log"))
        environment = _environment(settings, redis_url, port)
        processes = {name: Supervised(name, environment, logs / f"{name}.log") for name in ("worker", "api")}
        # The API first, so that nothing more is accepted; then the worker, which saves what it works on.
        stack.callback(processes["worker"].stop)
        stack.callback(processes["api"].stop)
        url = f"http://{settings.host}:{port}"
        _wait_until_ready(url, processes)
        write_durably(data / "url", url.encode())
        yield Local(url, token, processes)


def _environment(settings: Settings, redis_url: str, port: int) -> dict[str, str]:
    values = {**settings.model_dump(mode="json", exclude_none=True), "redis_url": redis_url, "port": port}
    values["data_dir"] = str(settings.data_dir.resolve())
    values["admin_token_file"] = str(settings.token_file.resolve())
    return {**os.environ, **{f"HXSERVE_{name.upper()}": str(value) for name, value in values.items()}}


def _free_port(host: str) -> int:
    with socket.socket() as probe:
        probe.bind((host, 0))
        port: int = probe.getsockname()[1]
        return port


def _wait_until_ready(url: str, processes: Mapping[str, Supervised]) -> None:
    until = time.monotonic() + _READY_TIMEOUT_S
    while time.monotonic() < until:
        for name, process in processes.items():
            if process.exit_status() is not None:
                raise UnavailableError(
                    f"the {name} did not start; {process.log} ends with:\n{process.last_words()}"
                )
        try:
            with urllib.request.urlopen(f"{url}/readyz", timeout=5):  # noqa: S310 our own address
                return
        except (urllib.error.URLError, OSError):
            time.sleep(0.1)
    raise UnavailableError(f"the service is not ready after {_READY_TIMEOUT_S:.0f} s; see {url}/readyz")


def main(arguments: Sequence[str] | None = None) -> int:
    """`hxserve up`: runs everything until Ctrl-C or SIGTERM; the exit status."""
    signal.signal(signal.SIGTERM, _interrupt)
    try:
        options = _parser().parse_args(arguments)
        settings = load_settings(**vars(options))
        use_redis = options.redis_url is not None or "HXSERVE_REDIS_URL" in os.environ
        print(f"hxserve starts; its data are in {settings.data_dir.resolve()}", flush=True)  # noqa: T201 the terminal
        with running(settings, use_redis=use_redis) as local:
            print(f"hxserve is ready: {local.url}?token={local.token}", flush=True)  # noqa: T201 the terminal
            local.watch()
    except KeyboardInterrupt:
        print("hxserve has stopped; nothing is lost", flush=True)  # noqa: T201 the terminal
        return 0
    except HxserveError as error:
        print(f"hxserve: {error.message} [{error.code}]", file=sys.stderr)  # noqa: T201 the terminal
        return 1


def _interrupt(number: int, frame: object) -> NoReturn:
    del number, frame
    raise KeyboardInterrupt


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        "hxserve up", description="Run Redis, a worker and the API on this machine."
    )
    add = parser.add_argument
    add("--data-dir", type=Path, help="folder of models, saves, logs and Redis's file [data]")
    add("--host", help="address to listen on [127.0.0.1]")
    add("--port", type=int, help="port of the API, 0 for any [8080]")
    add("--redis-url", help="use this Redis instead of starting one")
    add("--chip", choices=("emulator", "mock", "hxtorch", "auto"), help="what executes [mock]")
    add("--chip-id", help="the chip's name [chip-1]")
    add("--calibration", type=Path, help="calibration file for the chip")
    add("--mnist", type=Path, help="folder that holds MNIST in torchvision's layout")
    return parser


if __name__ == "__main__":
    sys.exit(main())
