"""The command `classes`: pupils who join by a link, for a day."""

from collections.abc import Mapping
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import click

from hxserve.cli.choices import CLASSES
from hxserve.cli.console import show_facts, show_json, show_line, show_table
from hxserve.cli.options import Options, OptionsGroup
from hxserve.phrases import duration, local_time


def _read_end(context: click.Context, _: click.Parameter, value: str | None) -> datetime | None:
    """Convert a time of day to the next instant at which the clock here shows it."""
    del context
    if value is None:
        return None
    try:
        wanted = datetime.strptime(value, "%H:%M").time()  # noqa: DTZ007 a time of day here
    except ValueError:
        raise click.BadParameter(f"{value!r} is not a time of day; give it as 16:00") from None
    now = datetime.now().astimezone()
    end = now.replace(hour=wanted.hour, minute=wanted.minute, second=0, microsecond=0)
    return end if end > now else end + timedelta(days=1)


_until: dict[str, Any] = {
    "callback": _read_end,
    "metavar": "HH:MM",
    "help": "Its end, by the clock of this machine.",
}


@click.group(cls=OptionsGroup, invoke_without_command=True)
@click.pass_context
def classes(context: click.Context) -> None:
    """Let a class join by a link and a code on the projector; without a subcommand, list your classes.

    Pupils need no account: each picks a nickname. After the end of the class `export` fetches what they made; a day
    later it is deleted.
    """
    if context.invoked_subcommand is None:
        context.invoke(list_classes)


@classes.command("list")
def list_classes(options: Options) -> None:
    """List your classes; admins see all."""
    found = options.client().classes.list()
    if options.as_json:
        show_json({"classes": found})
    elif not found:
        show_line('There are no classes; `hxserve classes start "Girls\' Day" --until 16:00` starts one.')
    else:
        show_table(
            ["code", "title", "state", "until", "pupils", "seats"],
            [
                [
                    each["code"],
                    each["title"],
                    each["state"],
                    _time(each["until"]),
                    each["taken"],
                    each["seats"],
                ]
                for each in found
            ],
            right=["pupils", "seats"],
        )


@classes.command("start")
@click.argument("title")
@click.option("--seats", type=click.IntRange(1, 100), default=25, show_default=True, help="The most pupils.")
@click.option("--until", required=True, **_until)
def start_class(options: Options, title: str, seats: int, until: datetime) -> None:
    """Start a class called TITLE, and show its link."""
    client = options.client()
    started = client.classes.start(title, until, seats=seats)
    if options.as_json:
        show_json(started)
        return
    show_line(
        f"{started['title']} has begun, until {_time(started['until'])}, with {started['seats']} seats."
    )
    show_line()
    show_line(f"    pupils       {started['link']}")
    show_line(f"    projector    {client.url}/classes/{started['code']}/screen")
    show_line(f"    teacher      {client.url}/classes/{started['code']}")


@classes.command("show")
@click.argument("code", shell_complete=CLASSES)
def show_class(options: Options, code: str) -> None:
    """Show the class CODE and its pupils."""
    found = options.client().classes.show(code)
    if options.as_json:
        show_json(found)
        return
    show_facts(
        {
            "class": found["title"],
            "state": found["state"],
            "link": found["link"],
            "until": _time(found["until"]),
            "deleted at": _time(found["deleted_at"]),
            "seats": f"{found['taken']} of {found['seats']}",
        }
    )
    if found["pupils"]:
        show_line()
        show_table(
            ["seat", "nickname", "joined", "chip time", "newest job", "models"],
            [_row(pupil) for pupil in found["pupils"]],
            right=["chip time"],
        )


@classes.command("change")
@click.argument("code", shell_complete=CLASSES)
@click.option("--title", help="Its name for people.")
@click.option("--until", **_until)
def change_class(options: Options, code: str, title: str | None, until: datetime | None) -> None:
    """Change the title or the end of the class CODE."""
    if title is None and until is None:
        raise click.UsageError("say what to change: --title or --until")
    _show_changed(options, options.client().classes.change(code, title=title, until=until))


@classes.command("pause")
@click.argument("code", shell_complete=CLASSES)
def pause_class(options: Options, code: str) -> None:
    """Refuse what the pupils of the class CODE submit, until `resume`."""
    _show_changed(options, options.client().classes.pause(code))


@classes.command("resume")
@click.argument("code", shell_complete=CLASSES)
def resume_class(options: Options, code: str) -> None:
    """Let the pupils of the class CODE go on."""
    _show_changed(options, options.client().classes.resume(code))


@classes.command("end")
@click.argument("code", shell_complete=CLASSES)
def end_class(options: Options, code: str) -> None:
    """End the class CODE; what its pupils made is kept for a day."""
    _show_changed(options, options.client().classes.end(code))


@classes.command("export")
@click.argument("code", shell_complete=CLASSES)
@click.option("--to", "target", type=click.Path(path_type=Path), default=".", help="File or folder.")
def export_class(options: Options, code: str, target: Path) -> None:
    """Download what the pupils of the class CODE made, as one zip."""
    path = options.client().classes.export(code, target)
    if options.as_json:
        show_json({"path": str(path)})
    else:
        show_line(f"Wrote {path}.")


@classes.command("delete")
@click.argument("code", shell_complete=CLASSES)
@click.confirmation_option("--yes", prompt="Delete the class with everything that its pupils made?")
def delete_class(options: Options, code: str) -> None:
    """End the class CODE and delete it with everything that its pupils made."""
    _show_changed(options, options.client().classes.delete(code))


@classes.command("let-back")
@click.argument("code", shell_complete=CLASSES)
@click.argument("seat")
def let_back(options: Options, code: str, seat: str) -> None:
    """Show a code with which the pupil of SEAT, who lost the session, enters it again, once."""
    allowed = options.client().classes.let_back(code, seat)
    if options.as_json:
        show_json(allowed)
        return
    show_line(f"{seat} opens {allowed['link']}, chooses 'I was in already' and types, within ten minutes:")
    show_line()
    show_line(f"    {allowed['code'][:3]} {allowed['code'][3:]}")


@classes.command("rename")
@click.argument("code", shell_complete=CLASSES)
@click.argument("seat")
@click.argument("nickname")
def rename_pupil(options: Options, code: str, seat: str, nickname: str) -> None:
    """Give the pupil of SEAT another nickname."""
    pupil = options.client().classes.rename(code, seat, nickname)
    if options.as_json:
        show_json(pupil)
    else:
        show_line(f"{seat} is called {pupil['nickname']} now.")


@classes.command("remove")
@click.argument("code", shell_complete=CLASSES)
@click.argument("seat")
def remove_pupil(options: Options, code: str, seat: str) -> None:
    """Remove the pupil of SEAT, and delete what the pupil made."""
    options.client().classes.remove(code, seat)
    if options.as_json:
        show_json({"removed": seat})
    else:
        show_line(f"{seat} is out; what the pupil made is being deleted.")


def _show_changed(options: Options, changed: Mapping[str, Any]) -> None:
    if options.as_json:
        show_json(changed)
    else:
        show_line(f"{changed['title']} is {changed['state']}, until {_time(changed['until'])}.")


def _row(pupil: Mapping[str, Any]) -> list[object]:
    jobs, models = pupil["jobs"], [model["name"].partition("~")[2] for model in pupil["models"]]
    newest = f"{jobs[0]['kind']}, {jobs[0]['state']}" if jobs else None
    joined = _time(pupil["joined_at"])
    return [pupil["seat"], pupil["nickname"], joined, duration(pupil["chip_s"]), newest, ", ".join(models)]


def _time(iso: str) -> str:
    return local_time(datetime.fromisoformat(iso))
