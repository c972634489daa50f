"""The command `hxserve`."""

import click

from client.cli.backup import backup, restore
from client.cli.chips import chip
from client.cli.classification import classify
from client.cli.jobs import jobs
from client.cli.letters import letters
from client.cli.models import models
from client.cli.options import common_options
from client.cli.outcome import EXIT_CODES, CommandGroup
from client.cli.plan import plan
from client.cli.staircase import staircase
from client.cli.status import queue, usage
from client.cli.submission import calibrate, evaluate, train
from client.cli.up import up
from client.cli.users import me, users


@click.group(cls=CommandGroup, epilog=EXIT_CODES, context_settings={"help_option_names": ["-h", "--help"]})
@common_options
@click.version_option(package_name="hxserve", message="hxserve %(version)s")
def cli() -> None:
    """Share one neuromorphic chip: train digit readers on it and classify images.

    `hxserve up` starts a service on this machine; the other commands use it, or the one that --url or HXSERVE_URL
    names.
    """


for _command in (
    *(up, train, evaluate, classify, calibrate, staircase, letters, jobs, models),
    *(chip, queue, usage, plan, me, users),
    *(backup, restore),
):
    cli.add_command(_command)


def main() -> None:
    """Runs the command line and exits with its code."""
    cli(prog_name="hxserve")
