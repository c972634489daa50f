"""The commands `models compare`, `promote`, `rollback`, `rollout` and `history`."""

from datetime import datetime
from typing import Any, Final

import click

from hxserve.cli.choices import MODELS, VERSIONS
from hxserve.cli.console import show_facts, show_json, show_line, show_table
from hxserve.cli.jobs import watch_job, whole_id
from hxserve.cli.models import models
from hxserve.cli.options import Command, Options
from hxserve.cli.results import points, show_comparison
from hxserve.cli.submission import DATASET, follow_job
from hxserve.phrases import local_time, percent

_ALIAS = click.option("--alias", default="production", show_default=True, help="The alias.")
_WHY = click.option("--why", default="", help="The reason, for the history.")
_MARGIN = click.option(
    "--margin", type=click.FloatRange(0, 0.5), help="Loss of accuracy that does not matter.  [default: 0.005]"
)
_REPEATS = click.option(
    "--repeats", type=click.IntRange(2, 64), help="Readings of each crop by each version.  [default: 8]"
)
_ACTIONS: Final = {"rolled_back": "rolled back", "rollout_ended": "rollout ended"}


def _comparison(command: Command) -> Command:
    """Add the options of a comparison."""
    for option in (
        click.option(
            "--allow-transfer",
            is_flag=True,
            default=None,
            help="On any chip, also when one learnt in the loop of another chip.",
        ),
        _MARGIN,
        _REPEATS,
        DATASET,
    ):
        command = option(command)
    return command


@models.command("compare")
@click.argument("name", shell_complete=MODELS)
@click.argument("candidate", shell_complete=VERSIONS)
@click.option("--against", default="production", show_default=True, help="A number or an alias.")
@_comparison
@click.option("--no-wait", is_flag=True, help="Submit only; do not wait for the end.")
def compare(
    options: Options, /, name: str, candidate: str, against: str, no_wait: bool, **given: Any
) -> None:
    """Compare version CANDIDATE with another one on a test set: who is right where the other is wrong.

    Both read each crop several times, in turns, so that the chip's noise is not taken for a difference.
    """
    client = options.client()
    follow_job(options, client, client.compare(name, candidate, against, **given), no_wait)


@models.command("promote")
@click.argument("name", shell_complete=MODELS)
@click.argument("version", shell_complete=VERSIONS)
@_ALIAS
@click.option(
    "--comparison",
    metavar="ID",
    help="A finished comparison, or the beginning of its ID; left out, one is made first.",
)
@_comparison
@_WHY
def promote(
    options: Options, /, name: str, version: str, alias: str, comparison: str | None, why: str, **given: Any
) -> None:
    """Let an alias name VERSION if a comparison shows that it is better, or not worse by the margin."""
    client = options.client()
    if comparison is None:
        job = watch_job(client, client.compare(name, version, alias, **given).id).expect_success()
        comparison = job.id
        if not options.as_json:
            show_comparison(job)
    else:
        comparison = whole_id(client, comparison)
    found = client.promote(name, version, alias, comparison=comparison, margin=given["margin"], why=why)
    _show_alias(options, found)


@models.command("rollback")
@click.argument("name", shell_complete=MODELS)
@_ALIAS
@_WHY
def rollback(options: Options, name: str, alias: str, why: str) -> None:
    """Let an alias name the version that it named before; again: the one before that."""
    _show_alias(options, options.client().rollback(name, alias, why=why))


@models.command("rollout")
@click.argument("name", shell_complete=MODELS)
@_ALIAS
@click.option("--candidate", metavar="VERSION", help="A number or an alias.")
@click.option("--share", type=click.FloatRange(0, 1), help="Of the senders that it answers.  [default: 0]")
@click.option(
    "--shadow", type=click.FloatRange(0, 1), help="Of the other crops that it reads, too.  [default: 0]"
)
@click.option("--end", is_flag=True, help="End the rollout.")
def rollout(
    options: Options,
    name: str,
    alias: str,
    candidate: str | None,
    share: float | None,
    shadow: float | None,
    end: bool,
) -> None:
    """Let a candidate answer some of the senders under an alias, or read crops of others; alone, show the rollout.

    The candidate reads in spare chip time, which is charged to nobody.
    """
    if end and candidate is not None:
        raise click.UsageError("give either --candidate or --end")
    if candidate is None and (share is not None or shadow is not None):
        raise click.UsageError("--share and --shadow need --candidate")
    client = options.client()
    if end:
        client.end_rollout(name, alias)
        if options.as_json:
            show_json({"name": name, "alias": alias, "rollout": None})
        else:
            show_line(f"The rollout of {alias} of {name} has ended.")
        return
    if candidate is None:
        found = client.show_rollout(name, alias)
    else:
        found = client.rollout(name, candidate, alias, share=share or 0.0, shadow=shadow or 0.0)
    if options.as_json:
        show_json(found)
        return
    trial = found["trial"]
    show_facts(
        {
            "alias": f"{found['name']}: {found['alias']} = {found['version']}",
            "candidate": found["candidate"],
            "share of senders": percent(found["share"]),
            "share of crops read": percent(found["shadow"]),
            "since": f"{local_time(datetime.fromisoformat(found['since']))}, by {found['user']}",
            "crops read": f"{trial['crops']}, dropped {trial['dropped']}",
            "different digits": percent(trial["disagreement"]),
            "mean confidence": percent(trial["confidence"]),
            "of the candidate": percent(trial["candidate_confidence"]),
        }
    )


@models.command("history")
@click.argument("name", shell_complete=MODELS)
@_ALIAS
def history(options: Options, name: str, alias: str) -> None:
    """Show who moved an alias, when, why, and with which figures; the newest change first."""
    found = options.client().history(name, alias)
    if options.as_json:
        show_json(found)
        return
    show_table(
        ["time", "change", "version", "before", "user", "figures", "why"],
        [
            [
                local_time(datetime.fromisoformat(change["at"])),
                _ACTIONS.get(change["action"], change["action"]),
                change["version"],
                change["before"],
                change["user"],
                _figures(change["figures"]),
                change["why"],
            ]
            for change in found["changes"]
        ],
        right=["version", "before"],
    )


def _show_alias(options: Options, found: dict[str, Any]) -> None:
    if options.as_json:
        show_json(found)
    else:
        show_line(f"{found['name']}: {found['alias']} = {found['version']}")


def _figures(figures: dict[str, Any] | None) -> str:
    """Return the figures of a change in one line."""
    if not figures:
        return ""
    if "candidate" in figures:
        share, shadow = percent(figures["share"]), percent(figures["shadow"])
        return f"candidate {figures['candidate']}, share {share}, shadow {shadow}"
    low, high = figures["difference_interval"]
    verdict = figures["verdict"].replace("_", " ")
    difference = f"{points(figures['difference'])} points ({points(low)} to {points(high)})"
    return f"{verdict}: {difference} on {figures['dataset']}, p = {figures['p_value']:.2g}"
