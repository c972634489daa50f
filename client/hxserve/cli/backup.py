"""The commands `backup` and `restore`."""

import click

from hxserve.cli.launching import become
from hxserve.cli.options import Command, Options, common_options


def _of_the_service(command: Command) -> Command:
    redis_url = click.option(
        "--redis-url",
        metavar="URL",
        help="Redis server of the service, unless it is the embedded one; HXSERVE_REDIS_URL.",
    )
    return common_options(redis_url(click.argument("file", type=click.Path())(command)))


@click.command()
@_of_the_service
@click.pass_obj
def backup(options: Options, /, file: str, redis_url: str | None) -> None:
    """Back up the service on this machine to FILE, while it runs.

    FILE contains records, users, models, unfinished trainings, calibrations and the admin's token, as they are at one
    moment. It appears under its name when it is complete. Protect it like the token: it gives access to the service.
    """
    flags = {"data_dir": options.data_dir, "redis_url": redis_url, "json": options.as_json}
    become("deploy.backup", flags, ["--", file])


@click.command()
@_of_the_service
@click.option("--replace", is_flag=True, help="Delete the stopped service in its place.")
@click.pass_obj
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
    become("deploy.restore", flags, ["--", file])
