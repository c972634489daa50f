"""The command `teach`: a network learns a handwriting."""

from typing import Any

import click

from hxserve.cli.console import show_json, show_line, show_table
from hxserve.cli.jobs import watch_job
from hxserve.cli.models import parse_model
from hxserve.cli.options import Options, OptionsCommand
from hxserve.phrases import percent
from hxserve.teaching import Lesson


@click.command(cls=OptionsCommand)
@click.argument("paths", metavar="FOLDER_OR_FILES...", nargs=-1, required=True, type=click.Path(exists=True))
@click.option(
    "--model",
    default="digits",
    show_default=True,
    metavar="NAME[@VERSION]",
    help="Version to start from; it stays as it is.",
)
@click.option(
    "--name",
    default="my-handwriting",
    show_default=True,
    help="Of your model, and of the data set of your digits.",
)
def teach(options: Options, paths: tuple[str, ...], model: str, name: str) -> None:
    """Teach a copy of a model your handwriting.

    Pictures are in folders 0 to 9, each digit at least twice, better four times. Half of them are learnt with the
    recipe `adapt`; the other half is held back and read before and after. Ctrl-C stops the watching, not the training.
    """
    client = options.client()
    teacher, version = parse_model(model)
    lesson = client.teach(
        paths, teacher, version or "latest", name=name, follow=lambda job: watch_job(client, job.id)
    )
    if options.as_json:
        show_json(_document(lesson))
    else:
        _show(lesson)


def _show(lesson: Lesson) -> None:
    digits = sorted({one.digit for one in lesson.held_back})
    of = {digit: sum(one.digit == digit for one in lesson.held_back) for digit in digits}
    show_table(
        ["digit", "before", "after"],
        [
            [
                digit,
                *(f"{lesson.right(read, digit)} of {of[digit]}" for read in (lesson.before, lesson.after)),
            ]
            for digit in digits
        ],
        right=["before", "after"],
    )
    for one, before, after in zip(lesson.held_back, lesson.before, lesson.after, strict=True):
        if after != one.digit:
            show_line(f"{one.path}: a {one.digit}, read as {before} before, as {after} after.")
    total = len(lesson.held_back)
    show_line(
        f"Before: {lesson.right(lesson.before)} of {total} of your digits held back, "
        f"after: {lesson.right(lesson.after)} of {total}. On {lesson.first}: {percent(lesson.accuracy_before)} before, "
        f"{percent(lesson.accuracy_after)} after."
    )
    show_line(f"Read a picture with it: `hxserve classify --model {lesson.model} PICTURE`")


def _document(lesson: Lesson) -> dict[str, Any]:
    rows = zip(lesson.held_back, lesson.before, lesson.after, strict=True)
    return {
        "teacher": lesson.teacher,
        "model": lesson.model,
        "version": lesson.version,
        "dataset": lesson.dataset,
        "job": lesson.training.id,
        "held_back": len(lesson.held_back),
        "right": {"before": lesson.right(lesson.before), "after": lesson.right(lesson.after)},
        "readings": [
            {"file": str(one.path), "digit": one.digit, "before": before, "after": after}
            for one, before, after in rows
        ],
        "accuracy": {
            "dataset": lesson.first,
            "before": lesson.accuracy_before,
            "after": lesson.accuracy_after,
        },
    }
