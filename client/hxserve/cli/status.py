"""The commands that tell how the service is: `queue` and `usage`."""

import click

from hxserve.cli.chips import show_maintenance
from hxserve.cli.console import show_json, show_line, show_table
from hxserve.cli.options import Options, OptionsCommand
from hxserve.phrases import duration, turn


@click.command(cls=OptionsCommand)
def queue(options: Options) -> None:
    """Show what waits, and how long something sent now would wait."""
    client = options.client()
    found = client.queue()
    if options.as_json:
        show_json(found)
        return
    show_maintenance(client.chip()["chips"])
    crops, jobs, operations = found["crops"], found["jobs"], found.get("operations")
    show_table(
        ["work", "running", "waiting", "expected wait"],
        [
            ["crops", None, crops["waiting"], _expected(crops["expected_wait_s"])],
            *([["operations", None, operations["waiting"], None]] if operations else []),
            ["jobs", jobs["running"], jobs["queued"], _expected(jobs["expected_wait_s"])],
        ],
        right=["running", "waiting", "expected wait"],
    )
    if operations and operations["sessions"]:
        own = "" if operations["position"] is None else f" {turn(operations['position']).capitalize()}."
        show_line(
            f"Programs open: {operations['sessions']}. Their operations go before jobs, users in turns.{own}"
        )
    kinds = found.get("kinds") or {}
    if kinds:
        show_line("A job of yours, submitted now:")
        show_table(
            ["kind", "running", "queued", "begins in", "done in"],
            [
                [kind, each["running"], each["queued"], _range(each["start"]), _range(each["eta"])]
                for kind, each in kinds.items()
            ],
            right=["running", "queued", "begins in", "done in"],
        )


@click.command(cls=OptionsCommand)
def usage(options: Options) -> None:
    """Show the chip time you were charged, and all users together; admins see each."""
    found = options.client().usage()
    if options.as_json:
        show_json(found)
        return
    users = sorted(found["users"], key=lambda user: -user["total_s"])
    kinds = sorted(found["all"]["chip_time_s"])
    if not kinds:
        show_line("No chip time was used yet.")
        return
    show_table(
        ["user", *kinds, "total"],
        [
            [
                user["user"],
                *(_spent(user["chip_time_s"].get(kind)) for kind in kinds),
                _spent(user["total_s"]),
            ]
            for user in [*users, {"user": "all together", **found["all"]}]
        ],
        right=[*kinds, "total"],
    )


def _expected(seconds: float | None) -> str:
    if seconds is None:
        return "not known yet"
    return duration(seconds) if seconds > 0.001 else "none"


def _range(span: dict[str, float] | None) -> str:
    if span is None:
        return "not known"
    earliest, latest = duration(span["earliest_s"]), duration(span["latest_s"])
    return earliest if earliest == latest else f"{earliest} to {latest}"


def _spent(seconds: float | None) -> str:
    return duration(seconds) if seconds else ""
