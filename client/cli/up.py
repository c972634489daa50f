"""The command `up`: a whole service on this machine."""

import os
import sys
from importlib.util import find_spec
from typing import Final

import click

from client.cli.options import Options, data_dir_option
from client.cli.outcome import Failure

_LAUNCHER: Final = "deploy.local"
_SERVER_LIBRARIES: Final = ("flask", "celery", "torch")


@click.command(context_settings={"ignore_unknown_options": True})
@data_dir_option("Folder of models, records and token.  [default: data]")
@click.option("--port", type=click.IntRange(0, 65535), help="Port of the API; 0: any free one.")
@click.option("--redis-url", metavar="URL", help="Use this Redis server instead of an own one.")
@click.option("--chip", type=click.Choice(["emulator", "mock", "hxtorch", "auto"]), help="What executes.")
@click.option("--calibration", metavar="PATH", help="Calibration file to load.")
@click.option("--mnist", metavar="DIR", help="Folder that holds MNIST.")
@click.argument("more", nargs=-1, type=click.UNPROCESSED)
@click.pass_obj
def up(options: Options, /, more: tuple[str, ...], **given: object) -> None:
    """Start Redis, a worker and the API here; Ctrl-C stops all of it, losing nothing.

    Prints `hxserve is ready: <address>` when work can be sent. Further options go to the launcher as they are.
    """
    missing = [name for name in (_LAUNCHER, *_SERVER_LIBRARIES) if not _is_installed(name)]
    if missing:
        raise Failure(
            "server_not_installed",
            f"the server's part is not installed here ({', '.join(missing)} missing); "
            "install it with `pip install 'hxserve[api,worker]'`, or use a running service with --url",
        )
    flags = {"data_dir": options.data_dir, **given}
    arguments = [
        text
        for name, value in flags.items()
        if value is not None
        for text in (f"--{name.replace('_', '-')}", str(value))
    ]
    command = [sys.executable, "-m", _LAUNCHER, *arguments, *more]
    # The launcher takes this process's place, so that signals reach it.
    os.execv(sys.executable, command)  # noqa: S606 - no shell, our own interpreter


def _is_installed(module: str) -> bool:
    try:
        return find_spec(module) is not None
    except ModuleNotFoundError:
        return False
