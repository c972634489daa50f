"""The command `webhooks`: addresses of yours that hear of the ends of your jobs."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, Final

import click

from hxserve.cli.choices import HOOKS
from hxserve.cli.console import show_json, show_line, show_table
from hxserve.cli.options import Command, Options, OptionsGroup
from hxserve.phrases import age

_ENDS: Final = ("succeeded", "failed", "cancelled", "expired")
_NONE: Final = "none"


@click.group(cls=OptionsGroup, invoke_without_command=True)
@click.pass_context
def webhooks(context: click.Context) -> None:
    """Let addresses hear of the ends of your jobs; alone, list them."""
    if context.invoked_subcommand is None:
        context.invoke(list_webhooks)


def _filters(command: Command) -> Command:
    command = click.option("--description", help="A text of yours.")(command)
    command = click.option(
        "--kind", "kinds", multiple=True, metavar="KIND", help="Only of jobs of this kind."
    )(command)
    text = "Only of this end; `none`: only of jobs that name the webhook."
    return click.option("--event", "events", multiple=True, type=click.Choice([*_ENDS, _NONE]), help=text)(
        command
    )


@webhooks.command("add")
@click.argument("address", metavar="URL")
@_filters
def add_webhook(
    options: Options, address: str, events: Sequence[str], kinds: Sequence[str], description: str | None
) -> None:
    """Add a webhook that sends to URL, and show its secret, this once.

    --event and --kind may be repeated; without them it hears of every end of all jobs but classifications.
    """
    added = options.client().webhooks.add(address, **_given(events, kinds, description))
    if options.as_json:
        show_json(added)
    else:
        show_line(f"{added['id']} sends to {address}.")
        _show_secret(added["secret"])


@webhooks.command("list")
def list_webhooks(options: Options) -> None:
    """List your webhooks."""
    found = options.client().webhooks.list()
    if options.as_json:
        show_json({"webhooks": found})
    elif not found:
        show_line("There are no webhooks; `hxserve webhooks add URL` makes one.")
    else:
        show_table(
            ["webhook", "sends to", "events", "kinds", "state"],
            [
                [hook["id"], _url(hook), _events(hook), ", ".join(hook["kinds"]), _state(hook)]
                for hook in found
            ],
        )


@webhooks.command("show")
@click.argument("webhook", shell_complete=HOOKS)
def show_webhook(options: Options, webhook: str) -> None:
    """Show WEBHOOK."""
    _show(options, options.client().webhooks.show(webhook))


@webhooks.command("change")
@click.argument("webhook", shell_complete=HOOKS)
@click.option("--to", "address", metavar="URL", help="Where it is sent.")
@_filters
@click.option("--on/--off", "active", default=None, help="Switch it on or off.")
def change_webhook(
    options: Options,
    webhook: str,
    address: str | None,
    events: Sequence[str],
    kinds: Sequence[str],
    description: str | None,
    active: bool | None,
) -> None:
    """Change WEBHOOK; what is not given stays."""
    given = {**_given(events, kinds, description), "url": address, "active": active}
    changes = {name: value for name, value in given.items() if value is not None}
    if not changes:
        raise click.UsageError("say what to change: --to, --event, --kind, --description, --on or --off")
    _show(options, options.client().webhooks.change(webhook, **changes))


@webhooks.command("delete")
@click.argument("webhook", shell_complete=HOOKS)
def delete_webhook(options: Options, webhook: str) -> None:
    """Delete WEBHOOK; what waits to be delivered to it is not."""
    options.client().webhooks.delete(webhook)
    if options.as_json:
        show_json({"deleted": webhook})
    else:
        show_line(f"{webhook} is deleted.")


@webhooks.command("secret")
@click.argument("webhook", shell_complete=HOOKS)
def renew_secret(options: Options, webhook: str) -> None:
    """Give WEBHOOK a new secret and show it, this once; `jobs` is that of the addresses that jobs name."""
    secret = options.client().webhooks.renew_secret(webhook)
    if options.as_json:
        show_json({"id": webhook, "secret": secret})
    else:
        _show_secret(secret)


@webhooks.command("test")
@click.argument("webhook", shell_complete=HOOKS)
def test_webhook(options: Options, webhook: str) -> None:
    """Send a message of the type `webhook.test` to WEBHOOK."""
    _show_sent(options, options.client().webhooks.test(webhook))


@webhooks.command("deliveries")
@click.option("--webhook", shell_complete=HOOKS, help="Only those to this one.")
@click.option("--limit", type=click.IntRange(min=1), default=20, show_default=True, help="The newest.")
def list_deliveries(options: Options, webhook: str | None, limit: int) -> None:
    """List deliveries, the newest first."""
    found = list(options.client().webhooks.deliveries(webhook, limit=limit))
    if options.as_json:
        show_json({"deliveries": found})
    elif not found:
        show_line("Nothing has been delivered yet.")
    else:
        columns = ["delivery", "event", "state", "tries", "status", "age", "problem"]
        show_table(columns, [_row(delivery) for delivery in found], right=["tries", "status"])


@webhooks.command("resend")
@click.argument("delivery")
def resend(options: Options, delivery: str) -> None:
    """Send DELIVERY again, with the same id."""
    _show_sent(options, options.client().webhooks.send_again(delivery))


def _given(events: Sequence[str], kinds: Sequence[str], description: str | None) -> dict[str, Any]:
    given: dict[str, Any] = {
        "events": [f"job.{event}" for event in events if event != _NONE] if events else None,
        "kinds": list(kinds) or None,
        "description": description,
    }
    return {name: value for name, value in given.items() if value is not None}


def _show(options: Options, hook: Mapping[str, Any]) -> None:
    if options.as_json:
        show_json(hook)
    else:
        of = f", of the kinds {', '.join(hook['kinds'])}" if hook["kinds"] else ""
        show_line(f"{hook['id']} sends to {_url(hook)}: {_events(hook)}{of}.")
        show_line(f"It is {_state(hook)}.")


def _show_sent(options: Options, delivery: Mapping[str, Any]) -> None:
    if options.as_json:
        show_json(delivery)
    else:
        show_line(f"{delivery['id']} is on its way; `hxserve webhooks deliveries` shows what came of it.")


def _show_secret(secret: str) -> None:
    show_line("The secret, shown this once:")
    show_line()
    show_line(f"    {secret}")
    show_line()
    show_line("Receivers verify messages with it: `hxserve.webhooks.verify`.")


def _url(hook: Mapping[str, Any]) -> str:
    return hook["url"] or "the addresses that jobs name"


def _events(hook: Mapping[str, Any]) -> str:
    return ", ".join(event.removeprefix("job.") for event in hook["events"]) or "only jobs that name it"


def _state(hook: Mapping[str, Any]) -> str:
    if hook["off"]:
        return f"off: {hook['off']}"
    return f"failing since {hook['failing_since']}" if hook["failing_since"] else "on"


def _row(delivery: Mapping[str, Any]) -> list[object]:
    return [
        delivery["id"],
        delivery["event"],
        delivery["state"],
        delivery["tries"],
        delivery["status"] or "",
        age(datetime.fromisoformat(delivery["created_at"])),
        delivery["problem"] or "",
    ]
