"""The command `corrections`: right digits for answers that were kept."""

from datetime import datetime
from typing import Any, Final

import click

from hxserve.cli.console import show_json, show_line, show_table
from hxserve.cli.options import Options, OptionsGroup
from hxserve.phrases import age, percent

_NONE: Final = "none"
_BIAS: Final = (
    "Among corrected and confirmed answers, which are no random sample: compare versions with it, no more."
)
_DIGIT: Final = click.Choice([*map(str, range(10)), _NONE])


@click.group(cls=OptionsGroup, invoke_without_command=True)
@click.pass_context
def corrections(context: click.Context) -> None:
    """Correct answers, and close the corrections into a data set; alone, list the open ones."""
    if context.invoked_subcommand is None:
        context.invoke(list_corrections)


@corrections.command("list")
def list_corrections(options: Options) -> None:
    """List your open corrections, the newest first."""
    found = list(options.client().corrections())
    if options.as_json:
        show_json({"corrections": found})
    elif not found:
        show_line("There are no open corrections; `hxserve classify --keep` keeps answers to correct.")
    else:
        columns = ["correction", "digit", "read", "confidence", "by", "age"]
        show_table(columns, [_row(correction) for correction in found], right=["confidence"])


@corrections.command("add")
@click.argument("answer")
@click.argument("digit", type=_DIGIT)
@click.option(
    "--index", type=click.IntRange(min=0), default=0, show_default=True, help="Of the crop in the answer."
)
def add_correction(options: Options, answer: str, digit: str, index: int) -> None:
    """Correct or confirm a crop of ANSWER: its right DIGIT, or `none` for a crop that shows none."""
    added = options.client().correct(answer, None if digit == _NONE else int(digit), index)
    if options.as_json:
        show_json(added)
    else:
        show_line(f"{added['id']}: read {added['read']}, {_said(added['digit'])}.")


@corrections.command("delete")
@click.argument("correction")
def delete_correction(options: Options, correction: str) -> None:
    """Withdraw CORRECTION, by its id; the answer itself stays kept until it expires."""
    options.client().delete_correction(correction)
    if options.as_json:
        show_json({"deleted": correction})
    else:
        show_line(f"{correction} is withdrawn.")


@corrections.command("close")
@click.argument("dataset")
def close_corrections(options: Options, dataset: str) -> None:
    """Publish the open corrections in the next version of your data set DATASET."""
    closed = options.client().close_corrections(dataset)
    if options.as_json:
        show_json(closed)
        return
    train, test = (sum(closed["counts"][part]) for part in ("train", "test"))
    show_line(
        f"{closed['dataset']}@{closed['version']}: {train} training and {test} test crops; "
        f"corrections closed now: {closed['closed']}."
    )
    for remark in closed["remarks"]:
        show_line(remark)


@corrections.command("accuracy")
def show_accuracy(options: Options) -> None:
    """Show how often each model version was right, among corrected answers."""
    found = options.client().accuracy()
    if options.as_json:
        show_json({"versions": found})
    elif not found:
        show_line("No answer has been corrected or confirmed yet.")
    else:
        columns = ["version", "right", "wrong", "not a digit", "accuracy", "95 % interval"]
        rows = [
            [f"{of['model']}@{of['version']}", of["right"], of["wrong"], of["not_a_digit"], *_shares(of)]
            for of in found
        ]
        show_table(columns, rows, right=columns[1:])
        show_line(_BIAS)


def _row(correction: dict[str, Any]) -> list[Any]:
    digit, read, confidence = (correction[name] for name in ("digit", "read", "confidence"))
    by = f"{correction['model']}@{correction['version']}" if correction["model"] else correction["source"]
    return [
        correction["id"],
        _NONE if digit is None else digit,
        "" if read is None else read,
        "" if confidence is None else f"{confidence:.1%}",
        by,
        age(datetime.fromisoformat(correction["at"])),
    ]


def _said(digit: int | None) -> str:
    return "no digit" if digit is None else f"is {digit}"


def _shares(of: dict[str, Any]) -> list[str]:
    if of["accuracy"] is None:
        return ["", ""]
    low, high = of["interval"]
    return [percent(of["accuracy"]), f"{percent(low)} to {percent(high)}"]
