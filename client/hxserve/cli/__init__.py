"""The command `hxserve`."""

import click

from hxserve.cli import promotion as _promotion  # noqa: F401 its commands are of `models`
from hxserve.cli.chips import chip
from hxserve.cli.classes import classes
from hxserve.cli.classification import classify
from hxserve.cli.completion import completion
from hxserve.cli.corrections import corrections
from hxserve.cli.datasets import datasets
from hxserve.cli.doctor import doctor
from hxserve.cli.documentation import docs
from hxserve.cli.guidance import add_examples
from hxserve.cli.jobs import jobs
from hxserve.cli.models import models
from hxserve.cli.outcome import EXIT_CODES
from hxserve.cli.page import open_page
from hxserve.cli.plugins import ExtensibleGroup
from hxserve.cli.programs import kernel, run
from hxserve.cli.server import backup, restore, up
from hxserve.cli.staircase import staircase
from hxserve.cli.status import queue, usage
from hxserve.cli.submission import calibrate, evaluate, train
from hxserve.cli.teaching import teach
from hxserve.cli.top import top
from hxserve.cli.users import me, users
from hxserve.cli.webhooks import webhooks


@click.group(cls=ExtensibleGroup, epilog=EXIT_CODES, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="hxserve", message="hxserve %(version)s")
def cli() -> None:
    """Share one neuromorphic chip: train digit readers on it and classify images.

    `hxserve up` starts a service on this machine; the other commands use it, or the one that --url or HXSERVE_URL
    names.
    """


for _command in (
    *(up, open_page, doctor, completion, docs, top),
    *(train, teach, evaluate, classify, corrections, calibrate, staircase, jobs, models, datasets),
    *(run, kernel),
    *(chip, queue, usage, me, users, classes, webhooks),
    *(backup, restore),
):
    cli.add_command(_command)
add_examples(cli)


def main() -> None:
    """Run the command line and exit with its code."""
    cli(prog_name="hxserve")
