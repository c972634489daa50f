"""The command `top`: chips, queue, users and throughput, live."""

from __future__ import annotations

import time
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

import click
from rich.console import Group, RenderableType
from rich.live import Live
from rich.text import Text

from hxserve.cli.console import console, make_table, show_json
from hxserve.cli.options import Options, OptionsCommand
from hxserve.client import Client
from hxserve.phrases import duration, standing

_JOBS = 8


@dataclass(frozen=True, slots=True)
class Reading:
    """The service at a moment; `at_s` on the monotonic clock."""

    at_s: float
    chips: list[dict[str, Any]]
    queue: dict[str, Any]
    usage: dict[str, Any]
    models: list[dict[str, Any]]
    jobs: list[Any]

    @classmethod
    def take(cls, client: Client) -> Reading:
        """Ask the service."""
        jobs = [*client.jobs(state="running", limit=_JOBS), *client.jobs(state="queued", limit=_JOBS)]
        return cls(
            time.monotonic(),
            client.chip()["chips"],
            client.queue(),
            client.usage(),
            client.statistics(),
            jobs[:_JOBS],
        )

    @property
    def crops(self) -> int:
        """Crops read since the service started."""
        return sum(int(model["inference_count"]) for model in self.models)

    @property
    def calls(self) -> int:
        """Chip calls since the service started."""
        return sum(int(model["execution_count"]) for model in self.models)

    def crops_per_s(self, before: Reading | None) -> float | None:
        """Return the throughput since an earlier reading; None if there is none, or the service was restarted."""
        if before is None or self.at_s <= before.at_s or self.crops < before.crops:
            return None
        return (self.crops - before.crops) / (self.at_s - before.at_s)


@click.command(cls=OptionsCommand)
@click.option("--once", is_flag=True, help="Show it once and end; so does --json.")
@click.option(
    "--every",
    type=click.FloatRange(min=0.2),
    default=2.0,
    show_default=True,
    metavar="SECONDS",
    help="Pause.",
)
def top(options: Options, /, once: bool, every: float) -> None:
    """Watch chips, queue, jobs, users and throughput; Ctrl-C ends it."""
    client = options.client()
    reading = Reading.take(client)
    if options.as_json:
        show_json(
            {
                "chips": reading.chips,
                "queue": reading.queue,
                "usage": reading.usage,
                "crops": reading.crops,
                "chip_calls": reading.calls,
                "jobs": [job.record for job in reading.jobs],
            }
        )
        return
    out = console()
    if once or not out.is_terminal:
        out.print(_view(reading, None))
        return
    view = Live(_view(reading, None), console=out, screen=True, auto_refresh=False)
    with suppress(KeyboardInterrupt), view as live:
        while True:
            time.sleep(every)
            before, reading = reading, Reading.take(client)
            live.update(_view(reading, before), refresh=True)


def _view(reading: Reading, before: Reading | None) -> RenderableType:
    rate = reading.crops_per_s(before)
    crops, jobs = reading.queue["crops"], reading.queue["jobs"]
    expected = crops["expected_wait_s"]
    head = (
        f"{reading.crops:,} crops in {reading.calls:,} chip calls"
        + ("" if rate is None else f", {rate:,.0f} crops/s now")
        + f"; waiting: {crops['waiting']} crops"
        + ("" if not expected else f" ({duration(expected)})")
        + f", {jobs['queued']} jobs; running: {jobs['running']}"
    )
    users = sorted(reading.usage["users"], key=lambda user: -user["total_s"])[:_JOBS]
    return Group(
        Text(head),
        Text(),
        make_table(
            ["chip", "state", "backend", "maintenance"],
            [
                [
                    c["id"],
                    c["state"],
                    c.get("backend"),
                    (c.get("maintenance") or {}).get("message") if c.get("maintenance") else "no",
                ]
                for c in reading.chips
            ],
        ),
        Text(),
        make_table(
            ["job", "kind", "model", "user", "state", "done", "remarks"],
            [
                [job.id[:8], job.kind, job.model, job.user, job.state, f"{job.progress:.0%}", standing(job)]
                for job in reading.jobs
            ],
            right=["done"],
        ),
        Text(),
        make_table(
            ["user", "chip time"],
            [[user["user"], duration(user["total_s"])] for user in users],
            right=["chip time"],
        ),
    )


def _maintenance(chip: dict[str, Any]) -> str:
    maintenance = chip.get("maintenance")
    return (maintenance["message"] or "yes") if maintenance else "no"
