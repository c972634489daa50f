"""Commands that other distributions add to `hxserve`, through the entry points of the group `hxserve.commands`."""

from importlib import metadata
from typing import Final

import click

from hxserve.cli.guidance import EXAMPLES, epilog, write_sections
from hxserve.cli.outcome import CommandGroup, Failure

GROUP: Final = "hxserve.commands"
_DISTRIBUTIONS: Final = {"letters": "hxserve-letters", "plan": "hxserve-planner"}
"""Distributions of the known commands, by the command's name."""


class ExtensibleGroup(CommandGroup):
    """A group with the commands of other distributions; each is imported when it is asked for."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Return the names of all commands, also of known ones that are not installed."""
        added = {entry.name for entry in metadata.entry_points(group=GROUP)}
        return sorted({*super().list_commands(ctx), *added, *_DISTRIBUTIONS})

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the commands by purpose."""
        write_sections(self, ctx, formatter)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Return a command by its name; for a known one that is not installed, one that says how to install it."""
        own = super().get_command(ctx, cmd_name)
        if own is not None:
            return own
        for entry in metadata.entry_points(group=GROUP, name=cmd_name):
            command: click.Command = entry.load()
            if command.epilog is None and cmd_name in EXAMPLES:
                command.epilog = epilog(EXAMPLES[cmd_name])
            return command
        return _missing(cmd_name, _DISTRIBUTIONS[cmd_name]) if cmd_name in _DISTRIBUTIONS else None


def _missing(name: str, distribution: str) -> click.Command:
    advice = f"not installed here; install it with `pip install {distribution}`"

    def refuse(more: tuple[str, ...]) -> None:  # noqa: ARG001 every call is refused
        raise Failure(f"{name}_not_installed", f"`hxserve {name}` is {advice}")

    return click.Command(
        name,
        params=[click.Argument(["more"], nargs=-1, type=click.UNPROCESSED)],
        callback=refuse,
        help=f"{advice[0].upper()}{advice[1:]}.",
        short_help=f"Needs {distribution}.",
        context_settings={"ignore_unknown_options": True},
    )
