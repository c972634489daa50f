"""The command `hxserve`."""

import click

from hxserve.cli.chips import chip
from hxserve.cli.classification import classify
from hxserve.cli.jobs import jobs
from hxserve.cli.models import models
from hxserve.cli.outcome import EXIT_CODES
from hxserve.cli.plugins import ExtensibleGroup
from hxserve.cli.programs import kernel, run
from hxserve.cli.server import backup, restore, up
from hxserve.cli.staircase import staircase
from hxserve.cli.status import queue, usage
from hxserve.cli.submission import calibrate, evaluate, train
from hxserve.cli.users import me, users


@click.group(cls=ExtensibleGroup, epilog=EXIT_CODES, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="hxserve", message="hxserve %(version)s")
def cli() -> None:
    """Share one neuromorphic chip: train digit readers on it and classify images.

    `hxserve up` starts a service on this machine; the other commands use it, or the one that --url or HXSERVE_URL
    names.
    """


for _command in (
    *(up, train, evaluate, classify, calibrate, staircase, jobs, models),
    *(run, kernel),
    *(chip, queue, usage, me, users),
    *(backup, restore),
):
    cli.add_command(_command)


def main() -> None:
    """Run the command line and exit with its code."""
    cli(prog_name="hxserve")
