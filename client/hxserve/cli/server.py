"""Commands that run programs of the server: `up`, `backup` and `restore`."""

import os
import sys
from collections.abc import Mapping, Sequence
from importlib.util import find_spec
from typing import Final, NoReturn

import click

from hxserve.cli.options import Options, OptionsCommand, data_dir_option
from hxserve.cli.outcome import Failure

_SERVER_LIBRARIES: Final = ("flask", "celery", "torch")


@click.command(context_settings={"ignore_unknown_options": True})
@data_dir_option("Folder of models, records and token.  [default: data]")
@click.option(
    "--port", type=click.IntRange(0, 65535), help="Port of the API; 0 for any free one.  [default: 8080]"
)
@click.option("--host", metavar="ADDRESS", help="Address to listen on.  [default: 127.0.0.1]")
@click.option(
    "--grpc-port",
    type=click.IntRange(0, 65535),
    help="Port of the inference protocol over gRPC; 0 for any free one.  [default: not served]",
)
@click.option("--redis-url", metavar="URL", help="Use this Redis server instead of starting one.")
@click.option("--chip", metavar="NAME", help="Backend: mock, emulator, hxtorch or auto.  [default: mock]")
@click.option("--chip-id", metavar="ID", help="Name of the chip in the service.  [default: chip-1]")
@click.option("--chips", type=click.IntRange(1, 16), help="Number of chips, mock or emulator.  [default: 1]")
@click.option("--calibration", metavar="PATH", help="Calibration file to load.")
@click.option("--standby", is_flag=True, help="Start a second worker, which takes over when the first ends.")
@click.option("--mnist", metavar="DIR", help="Folder with MNIST.")
@click.argument("more", nargs=-1, type=click.UNPROCESSED)
@click.pass_obj
def up(options: Options, /, more: tuple[str, ...], **given: object) -> None:
    """Start Redis, a worker and the API on this machine; Ctrl-C stops them without losing work.

    Prints `hxserve is ready: <address>` when the service accepts work, with --json one document with `url`, `token`,
    `data_dir` and, where it is served, `grpc`. Further options are passed to the launcher.
    """
    _become("deploy.local", {"data_dir": options.data_dir, "json": options.as_json, **given}, more)


_FILE = click.argument("file", type=click.Path())
_REDIS_URL = click.option(
    "--redis-url",
    metavar="URL",
    help="Redis server of the service, unless it is the embedded one; HXSERVE_REDIS_URL.",
)


@click.command(cls=OptionsCommand)
@_FILE
@_REDIS_URL
def backup(options: Options, /, file: str, redis_url: str | None) -> None:
    """Back up the service on this machine to FILE, while it runs.

    FILE contains records, users, models, unfinished trainings, calibrations and the admin's token, as they are at one
    moment. It appears under its name when it is complete. Protect it like the token: it gives access to the service.
    """
    flags = {"data_dir": options.data_dir, "redis_url": redis_url, "json": options.as_json}
    _become("deploy.backup", flags, ["--", file])


@click.command(cls=OptionsCommand)
@_FILE
@_REDIS_URL
@click.option("--replace", is_flag=True, help="Delete the stopped service in its place.")
def restore(options: Options, /, file: str, redis_url: str | None, replace: bool) -> None:
    """Restore the service in FILE to an empty folder; then start it as usual.

    Finished jobs, models, users and tokens are there, queued jobs run, and trainings continue from their last save.
    Nothing is changed before FILE was checked completely. Repeat a restore that was cut off.
    """
    flags = {
        "data_dir": options.data_dir,
        "redis_url": redis_url,
        "json": options.as_json,
        "replace": replace,
    }
    _become("deploy.restore", flags, ["--", file])


def _become(module: str, flags: Mapping[str, object], more: Sequence[str]) -> NoReturn:
    """Replace this process by a module of the server, so that signals reach it.

    Args:
        module: to run.
        flags: values by the names of its options; those that are None are left out, True gives the bare flag.
        more: further arguments.
    """
    missing = [name for name in (module, *_SERVER_LIBRARIES) if not _is_installed(name)]
    if missing:
        raise Failure(
            "server_not_installed",
            f"the server's part is not installed here ({', '.join(missing)} missing); "
            "install it with `pip install 'hxserve-server[api,worker]'`, or use a running service with --url",
        )
    arguments = [
        text
        for name, value in flags.items()
        if value is not None and value is not False
        for text in (
            (f"--{name.replace('_', '-')}",) if value is True else (f"--{name.replace('_', '-')}", str(value))
        )
    ]
    command = [sys.executable, "-m", module, *arguments, *more]
    os.execv(sys.executable, command)  # noqa: S606 - no shell, our own interpreter


def _is_installed(module: str) -> bool:
    try:
        return find_spec(module) is not None
    except ModuleNotFoundError:
        return False
