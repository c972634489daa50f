"""The commands that tell how the service is: `chip`, `queue` and `usage`."""

import json
from datetime import datetime
from typing import Any

import click

from client.cli.console import show_json, show_line, show_table
from client.cli.options import Options, common_options
from client.cli.phrases import age, duration, flat


@click.command()
@common_options
@click.pass_obj
def chip(options: Options) -> None:
    """Show the chips, who holds them, and how their self-tests went."""
    found = options.client().chip()
    if options.as_json:
        show_json(found)
        return
    if not found["chips"]:
        show_line("No worker has opened a chip yet.")
        return
    show_table(
        ["chip", "backend", "state", "since", "held by", "gain", "noise (LSB)", "calibration", "self-test"],
        [_chip_row(c) for c in found["chips"]],
        right=["gain", "noise (LSB)"],
    )


@click.command()
@common_options
@click.pass_obj
def queue(options: Options) -> None:
    """Show what waits, and how long something sent now would wait."""
    found = options.client().queue()
    if options.as_json:
        show_json(found)
        return
    crops, jobs = found["crops"], found["jobs"]
    show_table(
        ["work", "running", "waiting", "expected wait"],
        [
            ["crops", None, crops["waiting"], _expected(crops["expected_wait_s"])],
            ["jobs", jobs["running"], jobs["queued"], _expected(jobs["expected_wait_s"])],
        ],
        right=["running", "waiting", "expected wait"],
    )


@click.command()
@common_options
@click.pass_obj
def usage(options: Options) -> None:
    """Show the chip time each user was charged."""
    found = options.client().usage()
    if options.as_json:
        show_json(found)
        return
    users = found["users"]
    kinds = sorted({kind for user in users for kind in user["chip_time_s"]})
    if not users:
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
            for user in sorted(users, key=lambda user: -user["total_s"])
        ],
        right=[*kinds, "total"],
    )


def _chip_row(record: dict[str, Any]) -> list[object]:
    holder = record.get("holder") or {}
    since = record.get("since")
    return [
        record["id"],
        record.get("backend"),
        record["state"],
        age(datetime.fromisoformat(since)) if since else None,
        f"{holder['host']}, process {holder['pid']}" if {"host", "pid"} <= holder.keys() else flat(holder),
        record.get("gain"),
        record.get("noise_std"),
        _brief(record.get("calibration")) or "none",
        _brief(record.get("self_test")),
    ]


def _brief(value: object) -> str:
    if isinstance(value, dict):
        return flat(value)
    return "" if value is None else value if isinstance(value, str) else json.dumps(value)


def _expected(seconds: float | None) -> str:
    if seconds is None:
        return "not known yet"
    return duration(seconds) if seconds > 0.001 else "none"


def _spent(seconds: float | None) -> str:
    return duration(seconds) if seconds else ""
