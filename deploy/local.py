"""`hxserve up`: Redis, a worker and the API on one machine, from one environment, without root."""

import argparse
import fcntl
import json
import os
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, closing, contextmanager, suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Final, NoReturn, TextIO

from deploy.command import run_command, settings_of
from deploy.ports import free_port, wait_until_ready
from deploy.processes import GRPC, LETTERS, WORKER, chip_variables, environment_of, has_letters, processes_of
from deploy.redis_server import redis_server
from deploy.supervision import Supervised
from services.errors import SettingsError, UnavailableError
from services.files import write_durably
from services.settings import CHIP_CHOICES, Settings
from services.store.connection import Connection
from services.store.schema import ensure_schema
from services.users.authentication import ensure_admin_token

_LOOK_EVERY_S: Final = 0.2
_MOST_CHIPS: Final = 16


@dataclass(frozen=True, slots=True)
class Local:
    """A running service."""

    url: str
    token: str
    processes: Mapping[str, Supervised]
    grpc: str | None = None
    """Address of the inference protocol over gRPC, host and port, if it is served."""

    def watch(self) -> NoReturn:
        """Restart each process that ends, and rotate logs, until interrupted."""
        while True:
            for process in self.processes.values():
                _rotate_log(process)
                status = process.exit_status()
                if process.revive():
                    _complain(f"{process.name} ended ({status}) and is started again; see {process.log}")
            time.sleep(_LOOK_EVERY_S)


def _rotate_log(process: Supervised) -> None:
    try:
        process.rotate_log()
    except OSError as error:  # a full disk must not end the supervisor
        _complain(f"{process.log} is large and cannot be rotated ({error.strerror})")
        with suppress(OSError):
            os.truncate(process.log, 0)


@contextmanager
def running(
    settings: Settings,
    *,
    commands: Mapping[str, Sequence[str]] | None = None,
    chips: int = 1,
    letters: bool = False,
) -> Iterator[Local]:
    """Start a whole service, wait until it is ready, and stop all of it when the context ends.

    Args:
        settings: Of all processes. They name the Redis to use; otherwise one is started.
        commands: The processes beside Redis for the first chip, by name; by default one worker and the API.
        chips: The number of chips; each further one has a worker of its own, `worker-2` and so on.
        letters: Whether a process waits for orders of a letter centre from the page.

    Raises:
        HxserveError: a part does not start; the message has the reason.
    """
    if chips > 1 and settings.chip not in {"mock", "emulator"}:
        raise SettingsError(
            "several chips are started here only as mocks or emulators; start a worker for each real one "
            "(docs/chip.md, Several chips)"
        )
    data, logs = settings.data_dir.resolve(), settings.data_dir.resolve() / "logs"
    logs.mkdir(parents=True, exist_ok=True)
    with ExitStack() as stack:
        stack.enter_context(only_one(data))
        token = ensure_admin_token(settings.token_file)
        port = free_port(settings.host, settings.port)
        processes: dict[str, Supervised] = {}
        redis_url = settings.redis_url
        if settings.embeds_redis:
            redis_url, processes["redis"] = stack.enter_context(
                redis_server(data / "redis", logs / "redis.log", sync=settings.redis_sync)
            )
        _check_store(redis_url)
        grpc_port = None
        if settings.grpc_port is not None:
            grpc_port = free_port(settings.host, settings.grpc_port, "--grpc-port", besides=port)
        environment = environment_of(settings, redis_url, port, grpc_port)
        parts = {
            name: (command, environment | chip_variables(settings, 1, chips))
            for name, command in (commands or processes_of()).items()
        }
        for number in range(2, chips + 1):
            parts[f"worker-{number}"] = (WORKER, environment | chip_variables(settings, number, chips))
        if grpc_port is not None:
            parts["grpc"] = (GRPC, environment)
        # Stopped in reverse: those that accept work first; then the workers, which save.
        for name in sorted(parts, key=("api", "grpc").__contains__):
            command, variables = parts[name]
            processes[name] = Supervised(name, command, logs / f"{name}.log", environment=variables)
            stack.callback(processes[name].stop)
        url = f"http://{settings.host}:{port}"
        wait_until_ready(url, (settings.host, grpc_port) if grpc_port else None, processes)
        grpc = f"{settings.host}:{grpc_port}" if grpc_port else None
        # For commands of the client on this machine.
        write_durably(data / "grpc", (grpc or "").encode())
        write_durably(data / "url", url.encode())
        write_durably(data / "mnist", str(settings.mnist.resolve() if settings.mnist else "").encode())
        if letters:  # once the service is ready: it delays nothing, and its first request is answered
            own = environment | {"HXSERVE_URL": url, "HXSERVE_TOKEN": token}
            processes["letters"] = Supervised("letters", LETTERS, logs / "letters.log", environment=own)
            stack.callback(processes["letters"].stop)
        yield Local(url, token, processes, grpc)


def _check_store(redis_url: str) -> None:
    """Refuse here, in one line, a Redis that every process would refuse when it starts."""
    with closing(Connection(redis_url, retries=0)) as connection:
        connection.check()
        ensure_schema(connection)


@contextmanager
def only_one(data: Path) -> Iterator[None]:
    """Lock a data folder.

    Raises:
        UnavailableError: a service runs on it.
    """
    with (data / "lock").open("a") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            raise UnavailableError(
                f"another hxserve runs on {data}; stop it, or choose another --data-dir"
            ) from None
        yield


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the whole service until Ctrl-C or SIGTERM; return the exit status."""
    flags = vars(_parser().parse_args(arguments))
    as_json = flags.pop("json")
    say = partial(_say, to=sys.stderr) if as_json else _say

    def serve() -> None:
        try:
            commands, chips = processes_of(standby=flags.pop("standby")), flags.pop("chips")
            settings = settings_of(**flags)
            if settings.redis_password_file and settings.embeds_redis:
                raise SettingsError(
                    "HXSERVE_REDIS_PASSWORD_FILE is set but no --redis-url; give both or neither"
                )
            say(f"hxserve starts; its data are in {settings.data_dir.resolve()}")
            with running(settings, commands=commands, chips=chips, letters=has_letters()) as local:
                if local.grpc:
                    say(f"the inference protocol over gRPC is on {local.grpc}")
                _say(json.dumps(_address(local, settings)) if as_json else _ready(local))
                local.watch()
        except KeyboardInterrupt:
            say("hxserve has stopped; nothing is lost")

    return run_command(serve)


def _ready(local: Local) -> str:
    return f"hxserve is ready: {local.url}?token={local.token}"


def _address(local: Local, settings: Settings) -> dict[str, str]:
    address = {"url": local.url, "token": local.token, "data_dir": str(settings.data_dir.resolve())}
    return address | ({"grpc": local.grpc} if local.grpc else {})


def _say(line: str, to: TextIO | None = None) -> None:
    print(line, file=to, flush=True)


def _complain(line: str) -> None:
    print(f"hxserve: {line}", file=sys.stderr, flush=True)  # noqa: T201 the operator's terminal


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        "hxserve up", description="Run Redis, a worker and the API on this machine."
    )
    add = parser.add_argument
    add("--data-dir", help="folder of models, saves, logs and the embedded Redis [data]")
    add("--host", help="address to listen on [127.0.0.1]")
    add("--port", type=int, help="port of the API, 0 for any free one [8080]")
    add(
        "--grpc-port",
        type=int,
        help="port of the inference protocol over gRPC, 0 for any free one [no such process]",
    )
    add("--redis-url", help="use this Redis instead of starting one")
    add("--chip", choices=CHIP_CHOICES, help="backend [mock]")
    add("--chip-id", help="id of the chip [chip-1]")
    add(
        "--chips",
        type=int,
        choices=range(1, _MOST_CHIPS + 1),
        default=1,
        metavar="NUMBER",
        help=f"number of chips, mock or emulator, up to {_MOST_CHIPS} [1]",
    )
    add("--calibration", help="calibration file of the chip")
    add("--standby", action="store_true", help="start a second worker, which takes over when the first ends")
    add("--json", action="store_true", help="print one JSON document when the service is ready")
    add("--mnist", help="folder with MNIST in the layout of torchvision")
    return parser


if __name__ == "__main__":
    sys.exit(main())
