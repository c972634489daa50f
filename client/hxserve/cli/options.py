"""Options of every command, before or after its name, and the client made from them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeVar

import click

from hxserve.client import Client

Command = TypeVar("Command", bound=Callable[..., Any])


@dataclass(slots=True)
class Options:
    """Address of the service and output format; filled while the command line is read."""

    url: str | None = None
    token: str | None = None
    data_dir: str | None = None
    as_json: bool = False

    def client(self) -> Client:
        """Return a client of the service that was named."""
        # Few repetitions, so that a mistyped address is reported at once.
        return Client(self.url, self.token, data_dir=self.data_dir, retries=2)


def common_options(command: Command) -> Command:
    """Add --url, --token, --data-dir and --json; nearest to the end of the command line wins."""
    for option in (
        click.option(
            "--json", "as_json", is_flag=True, help="One JSON document on stdout.", **_remembered("as_json")
        ),
        data_dir_option("Data folder of a service on this machine; HXSERVE_DATA_DIR, else `data`."),
        click.option(
            "--token", metavar="TOKEN", help="What opens it; HXSERVE_TOKEN.", **_remembered("token")
        ),
        click.option(
            "--url", metavar="URL", help="The service's address; HXSERVE_URL.", **_remembered("url")
        ),
    ):
        command = option(command)
    return command


def data_dir_option(explanation: str) -> Callable[[Command], Command]:
    """Return the option --data-dir."""
    return click.option("--data-dir", metavar="DIR", help=explanation, **_remembered("data_dir"))


def _remembered(name: str) -> dict[str, Any]:
    def remember(context: click.Context, _: click.Parameter, value: object) -> None:
        options = context.ensure_object(Options)
        if value:
            setattr(options, name, value)

    return {"expose_value": False, "callback": remember}
