"""The commands `backup` and `restore`: a whole service in one file, and back."""

import click

from hxserve.cli.launching import become
from hxserve.cli.options import Command, Options, common_options


def _of_the_service(command: Command) -> Command:
    redis_url = click.option(
        "--redis-url",
        metavar="URL",
        help="Its Redis server, unless it is the embedded one; HXSERVE_REDIS_URL.",
    )
    return common_options(redis_url(click.argument("file", type=click.Path())(command)))


@click.command()
@_of_the_service
@click.pass_obj
def backup(options: Options, /, file: str, redis_url: str | None) -> None:
    """Put everything of the service on this machine into FILE, while it runs.

    Records, users, models, unfinished trainings, calibrations and the admin's token, as they are at one moment. FILE
    gets its name when it is complete. It opens the service for whoever reads it: keep it as you keep the token.
    """
    flags = {"data_dir": options.data_dir, "redis_url": redis_url, "json": options.as_json}
    become("deploy.backup", flags, ["--", file])


@click.command()
@_of_the_service
@click.option("--replace", is_flag=True, help="Delete the stopped service that is there.")
@click.pass_obj
def restore(options: Options, /, file: str, redis_url: str | None, replace: bool) -> None:
    """Make the service of a backup in an empty place; then start it as always.

    Finished jobs, models, users and tokens are there, queued jobs run, and what was running goes on from its last save.
    Nothing is touched before FILE was found whole. One that was cut off is run again.
    """
    flags = {
        "data_dir": options.data_dir,
        "redis_url": redis_url,
        "json": options.as_json,
        "replace": replace,
    }
    become("deploy.restore", flags, ["--", file])
