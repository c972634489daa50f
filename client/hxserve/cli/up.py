"""The command `up`: a whole service on this machine."""

import click

from hxserve.cli.launching import become
from hxserve.cli.options import Options, data_dir_option


@click.command(context_settings={"ignore_unknown_options": True})
@data_dir_option("Folder of models, records and token.  [default: data]")
@click.option("--port", type=click.IntRange(0, 65535), help="Port of the API; 0 for any free one.")
@click.option("--redis-url", metavar="URL", help="Use this Redis server instead of starting one.")
@click.option("--chip", metavar="NAME", help="Backend: mock, emulator, hxtorch or auto.")
@click.option("--calibration", metavar="PATH", help="Calibration file to load.")
@click.option("--mnist", metavar="DIR", help="Folder with MNIST.")
@click.argument("more", nargs=-1, type=click.UNPROCESSED)
@click.pass_obj
def up(options: Options, /, more: tuple[str, ...], **given: object) -> None:
    """Start Redis, a worker and the API on this machine; Ctrl-C stops them without losing work.

    Prints `hxserve is ready: <address>` when the service accepts work. Further options are passed to the launcher.
    """
    become("deploy.local", {"data_dir": options.data_dir, **given}, more)
