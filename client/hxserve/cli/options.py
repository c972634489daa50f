"""Options of every command, before or after its name, and the client made from them."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeVar

import click

from hxserve.cli.guidance import next_step
from hxserve.client import Client

Command = TypeVar("Command", bound=Callable[..., Any])


@dataclass(slots=True)
class Options:
    """Address of the service and output format; filled while the command line is read."""

    url: str | None = None
    token: str | None = None
    data_dir: str | None = None
    as_json: bool = False

    def client(self, *, retries: int = 2, timeout_s: float = 30.0) -> Client:
        """Return a client of the service that was named; few repetitions report a mistyped address at once."""
        return Client(self.url, self.token, data_dir=self.data_dir, retries=retries, timeout_s=timeout_s)


class OptionsCommand(click.Command):
    """A command with the common options; its function is called with `Options` as the first argument."""

    def __init__(
        self,
        name: str | None,
        *,
        callback: Callable[..., Any],
        params: list[click.Parameter] | None = None,
        **settings: Any,
    ) -> None:
        called = click.pass_obj(callback)
        super().__init__(name, callback=called, params=[*(params or ()), *_common()], **settings)

    def invoke(self, ctx: click.Context) -> Any:
        """Run the command; at a terminal, say what to try next."""
        found = super().invoke(ctx)
        said = next_step(ctx)
        if said and sys.stderr.isatty() and not ctx.obj.as_json:
            click.secho(f"Try next: {said}", dim=True, err=True)
        return found


class OptionsGroup(click.Group):
    """A group with the common options, which its commands have, too."""

    command_class = OptionsCommand

    def __init__(self, *arguments: Any, params: list[click.Parameter] | None = None, **settings: Any) -> None:
        super().__init__(*arguments, params=[*(params or ()), *_common()], **settings)


def _common() -> list[click.Parameter]:
    """Return --url, --token, --data-dir and --json; the one nearest to the end of the command line wins."""
    data_dir = "Data folder of a service on this machine; HXSERVE_DATA_DIR, else `data`."
    return [
        click.Option(
            ["--url"], metavar="URL", help="The service's address; HXSERVE_URL.", **_remembered("url")
        ),
        click.Option(
            ["--token"], metavar="TOKEN", help="Bearer token; HXSERVE_TOKEN.", **_remembered("token")
        ),
        click.Option(["--data-dir"], metavar="DIR", help=data_dir, **_remembered("data_dir")),
        click.Option(
            ["--json", "as_json"], is_flag=True, help="One JSON document on stdout.", **_remembered("as_json")
        ),
        click.Option(
            ["--no-color"],
            is_flag=True,
            expose_value=False,
            callback=_without_colour,
            help="No colours, as with NO_COLOR.",
        ),
    ]


def _without_colour(context: click.Context, _: click.Parameter, value: bool) -> None:
    """Keep colours from this process and those that it starts."""
    if value:
        os.environ["NO_COLOR"] = "1"
    if os.environ.get("NO_COLOR"):
        context.color = False


def data_dir_option(explanation: str) -> Callable[[Command], Command]:
    """Return the option --data-dir."""
    return click.option("--data-dir", metavar="DIR", help=explanation, **_remembered("data_dir"))


def _remembered(name: str) -> dict[str, Any]:
    def remember(context: click.Context, _: click.Parameter, value: object) -> None:
        options = context.ensure_object(Options)
        if value:
            setattr(options, name, value)

    return {"expose_value": False, "callback": remember}
