"""The commands `users` and `me`: the service's users, and one's own quotas."""

import re
from collections.abc import Mapping
from datetime import datetime
from typing import Any, Final

import click

from hxserve.cli.choices import USERS
from hxserve.cli.console import show_facts, show_json, show_line, show_table
from hxserve.cli.options import Command, Options, OptionsCommand, OptionsGroup
from hxserve.phrases import duration, local_time

_SECONDS: Final = {"s": 1, "m": 60, "h": 3600, "d": 86_400, "w": 604_800}
_UNLIMITED: Final = "unlimited"
_DEFAULT: Final = "default"
_QUOTAS: Final = {
    "max_queued_jobs": ("jobs", "Unfinished training and evaluation jobs"),
    "max_waiting_crops": ("crops", "Crops that may wait"),
    "chip_seconds_per_day": ("chip time a day", "Seconds of chip time in a day (UTC)"),
    "requests_per_second": ("requests/s", "Requests per second"),
    "operations_per_second": ("operations/s", "Operations of programs per second"),
    "operation_bytes_per_second": ("bytes/s", "Bytes of operations per second"),
    "kept_crops": ("kept crops", "Crops kept for correction, the newest"),
    "open_corrections": ("corrections", "Open corrections"),
    "dataset_bytes": ("bytes of data sets", "Bytes of data sets and their uploads"),
}


def _read_lifetime(context: click.Context, _: click.Parameter, value: str | None) -> float | None:
    """Convert a time span such as 30d or 12h to seconds."""
    del context
    if value is None:
        return None
    found = re.fullmatch(r"(\d+(?:\.\d+)?)([smhdw])", value)
    if not found or not float(found[1]):
        raise click.BadParameter(f"{value!r} is not a time; give a number and s, m, h, d or w, such as 30d")
    return float(found[1]) * _SECONDS[found[2]]


def _read_quota(context: click.Context, _: click.Parameter, value: str | None) -> float | str | None:
    """Convert a limit, `unlimited` or `default`."""
    del context
    if value is None or value in {_UNLIMITED, _DEFAULT}:
        return value
    try:
        number = float(value)
    except ValueError:
        raise click.BadParameter(
            f"{value!r} is no limit; give a number, {_UNLIMITED} or {_DEFAULT}"
        ) from None
    return int(number) if number.is_integer() else number


def _quota_options(command: Command) -> Command:
    for quota, (_, explanation) in reversed(_QUOTAS.items()):
        name = f"--{quota.replace('_', '-')}"
        command = click.option(
            name,
            quota,
            callback=_read_quota,
            metavar="LIMIT",
            help=f"{explanation}; a number or `unlimited`.",
        )(command)
    return command


def _given(quotas: Mapping[str, float | str | None]) -> dict[str, float | str | None]:
    """Return the quotas that were named; null stands for the service's default in requests."""
    return {name: None if value == _DEFAULT else value for name, value in quotas.items() if value is not None}


_expires = click.option(
    "--expires",
    "expires_in_s",
    callback=_read_lifetime,
    metavar="TIME",
    help="When the token ends, such as 30d or 12h; never if left out.",
)
_role = click.Choice(["user", "admin"])


@click.group(cls=OptionsGroup, invoke_without_command=True)
@click.pass_context
def users(context: click.Context) -> None:
    """Manage the users of the service, as an admin; without a subcommand, list them."""
    if context.invoked_subcommand is None:
        context.invoke(list_users)


@users.command("list")
def list_users(options: Options) -> None:
    """List users with their quotas."""
    found = options.client().users.list()
    if options.as_json:
        show_json({"users": found})
    elif not found:
        show_line("There are no users yet beside the admin; `hxserve users add NAME` makes one.")
    else:
        show_table(
            ["user", "role", "state", *(title for title, _ in _QUOTAS.values()), "tokens"],
            [_row(user) for user in found],
            right=[title for title, _ in _QUOTAS.values()],
        )


@users.command("add")
@click.argument("name")
@click.option("--role", type=_role, default="user", show_default=True, help="What they may do.")
@_expires
@_quota_options
def add_user(
    options: Options, /, name: str, role: str, expires_in_s: float | None, **quotas: float | str | None
) -> None:
    """Add a user NAME and show their token, this once."""
    client = options.client()
    added = client.users.add(name, role, expires_in_s=expires_in_s, quotas=_given(quotas))
    if options.as_json:
        show_json(added)
    else:
        _show_token(f"{name} may use the service now, as {role}.", added, client.url)


@users.command("set")
@click.argument("name", shell_complete=USERS)
@click.option("--role", type=_role, help="What they may do.")
@_quota_options
def set_user(options: Options, /, name: str, role: str | None, **quotas: float | str | None) -> None:
    """Change NAME's role or quotas; `default` gives a quota back to the service's setting."""
    given = _given(quotas)
    if role is None and not given:
        raise click.UsageError("say what to change: --role or a quota")
    _show_changed(options, options.client().users.change(name, role=role, quotas=given))


@users.command("disable")
@click.argument("name", shell_complete=USERS)
def disable_user(options: Options, name: str) -> None:
    """Shut NAME out within a second; what they submitted is still done unless it is cancelled."""
    _show_changed(options, options.client().users.change(name, disabled=True))


@users.command("enable")
@click.argument("name", shell_complete=USERS)
def enable_user(options: Options, name: str) -> None:
    """Let NAME in again, with the tokens they had."""
    _show_changed(options, options.client().users.change(name, disabled=False))


@users.command("token")
@click.argument("name", shell_complete=USERS)
@_expires
@click.option("--revoke", is_flag=True, help="Make the tokens that NAME had until now void.")
def issue_token(options: Options, name: str, expires_in_s: float | None, revoke: bool) -> None:
    """Give NAME a new token and show it, this once."""
    client = options.client()
    issued = client.users.issue_token(name, expires_in_s=expires_in_s, revoke=revoke)
    if options.as_json:
        show_json(issued)
        return
    others = "all others are void" if revoke else "those from before still open the service"
    _show_token(f"{name} has a new token; {others}.", issued, client.url)


@users.command("revoke")
@click.argument("name", shell_complete=USERS)
@click.argument("token_id", required=False)
def revoke_tokens(options: Options, name: str, token_id: str | None) -> None:
    """Make all tokens of NAME void, or the one with this id (`hxserve users list --json` shows ids)."""
    revoked = options.client().users.revoke_tokens(name, token_id)
    if options.as_json:
        show_json({"name": name, "revoked": revoked})
    else:
        show_line(f"Tokens of {name} that are void now: {revoked}.")


@click.command(cls=OptionsCommand)
def me(options: Options) -> None:
    """Show your account and the remainder of your quotas."""
    found = options.client().me()
    if options.as_json:
        show_json(found)
        return
    show_facts({"user": found["name"], "role": found["role"]})
    show_line()
    show_table(
        ["quota", "limit", "used", "left"],
        [
            [
                title,
                _amount(quota, found["quotas"][quota]["limit"]),
                _spent(quota, found["quotas"][quota]["used"]),
                _spent(quota, found["quotas"][quota]["remaining"]),
            ]
            for quota, (title, _) in _QUOTAS.items()
        ],
        right=["limit", "used", "left"],
    )


def _show_changed(options: Options, user: Mapping[str, Any]) -> None:
    if options.as_json:
        show_json(user)
        return
    quotas = ", ".join(f"{title} {_amount(q, user['quotas'][q])}" for q, (title, _) in _QUOTAS.items())
    show_line(f"{user['name']} is {_state(user)}, role {user['role']}: {quotas}.")


def _show_token(said: str, issued: Mapping[str, Any], url: str) -> None:
    ends = issued["expires_at"]
    show_line(said)
    show_line(f"The token, shown this once{_until(ends)}:")
    show_line()
    show_line(f"    {issued['token']}")
    show_line()
    show_line(f"They use it with HXSERVE_URL={url} and HXSERVE_TOKEN set to it.")


def _until(ends: str | None) -> str:
    return f", good until {local_time(datetime.fromisoformat(ends))}" if ends else ""


def _row(user: Mapping[str, Any]) -> list[object]:
    tokens = user["tokens"]
    ends = sorted(token["expires_at"] for token in tokens if token["expires_at"])
    said = f"{len(tokens)}" + (f", next ends {local_time(datetime.fromisoformat(ends[0]))}" if ends else "")
    return [
        user["name"],
        user["role"],
        _state(user),
        *(_amount(quota, user["quotas"][quota]) for quota in _QUOTAS),
        said,
    ]


def _state(user: Mapping[str, Any]) -> str:
    return "disabled" if user["disabled"] else "enabled"


def _amount(quota: str, limit: float | None) -> str:
    return _UNLIMITED if limit is None else _spent(quota, limit)


def _spent(quota: str, amount: float | None) -> str:
    if amount is None:
        return ""
    return duration(amount) if quota == "chip_seconds_per_day" and amount else f"{amount:,.15g}"
