"""What help shows beside options: sections, examples, and the next step after a command."""

from collections.abc import Iterator
from typing import Any, Final

import click

SECTIONS: Final = {
    "Start": ("up", "open", "doctor", "completion", "docs"),
    "Learn": ("train", "teach", "evaluate", "calibrate", "staircase", "datasets", "corrections"),
    "Read": ("classify", "models", "letters", "run", "kernel"),
    "Watch": ("top", "jobs", "queue", "chip", "usage", "me", "webhooks"),
    "Administer": ("users", "classes", "backup", "restore", "plan"),
}
"""Commands by purpose, in the order of the help; others follow under "More"."""

EXAMPLES: Final = {
    "backup": ["hxserve backup tuesday.tar"],
    "calibrate": ["hxserve calibrate --chip chip-1"],
    "chip": ["hxserve chip"],
    "chip drain": ['hxserve chip drain --message "new cables at noon" --finish'],
    "chip resume": ["hxserve chip resume"],
    "classes": ["hxserve classes"],
    "classes change": ["hxserve classes change CODE --until 17:00"],
    "classes delete": ["hxserve classes delete CODE"],
    "classes end": ["hxserve classes end CODE"],
    "classes export": ["hxserve classes export CODE --to girls-day.zip"],
    "classes let-back": ["hxserve classes let-back CODE SEAT"],
    "classes list": ["hxserve classes list"],
    "classes pause": ["hxserve classes pause CODE"],
    "classes remove": ["hxserve classes remove CODE SEAT"],
    "classes rename": ["hxserve classes rename CODE SEAT Ada"],
    "classes resume": ["hxserve classes resume CODE"],
    "classes show": ["hxserve classes show CODE"],
    "classes start": ['hxserve classes start "Girls\' Day" --seats 25 --until 16:00'],
    "classify": [
        "hxserve classify seven.png",
        "hxserve classify --version production --repeats 8 *.png",
        "hxserve classify --job crops.npz -o answers.csv",
    ],
    "completion install": ["hxserve completion install", "hxserve completion install --shell fish"],
    "completion show": ["hxserve completion show --shell zsh"],
    "corrections": ["hxserve corrections"],
    "corrections accuracy": ["hxserve corrections accuracy"],
    "corrections add": ["hxserve corrections add ANSWER 7 --index 2"],
    "corrections close": ["hxserve corrections close my-digits"],
    "corrections delete": ["hxserve corrections delete CORRECTION"],
    "corrections list": ["hxserve corrections list"],
    "datasets": ["hxserve datasets"],
    "datasets add": [
        "hxserve datasets add my-digits photos/",
        "hxserve datasets add both a.npz --test-fraction 0.3",
    ],
    "datasets delete": ["hxserve datasets delete my-digits@1"],
    "datasets download": ["hxserve datasets download my-digits"],
    "datasets list": ["hxserve datasets list"],
    "datasets share": ["hxserve datasets share my-digits"],
    "datasets show": ["hxserve datasets show my-digits --sheet sheet.png"],
    "datasets unshare": ["hxserve datasets unshare my-digits"],
    "docs": ["hxserve docs", "hxserve docs --build-only --output site"],
    "doctor": ["hxserve doctor", "hxserve doctor --url http://chip.example.org:8080"],
    "evaluate": ["hxserve evaluate", "hxserve evaluate --version production --repeats 8"],
    "jobs": ["hxserve jobs --state running"],
    "jobs answers": ["hxserve jobs answers 3f -o answers.csv"],
    "jobs cancel": ["hxserve jobs cancel 3f"],
    "jobs list": ["hxserve jobs list --kind training --limit 5"],
    "jobs show": ["hxserve jobs show 3f"],
    "jobs watch": ["hxserve jobs watch 3f"],
    "kernel install": ["hxserve kernel install"],
    "letters": ["hxserve letters --letters 600 --flat-out"],
    "me": ["hxserve me"],
    "models": ["hxserve models"],
    "models alias": ["hxserve models alias digits production 3"],
    "models calibrate": ["hxserve models calibrate digits --dataset my-digits --into mine"],
    "models compare": ["hxserve models compare digits 3 --against production"],
    "models delete": ["hxserve models delete digits 2"],
    "models download": ["hxserve models download digits production -o digits.safetensors"],
    "models export": ["hxserve models export digits@production --onnx digits.onnx"],
    "models history": ["hxserve models history digits"],
    "models list": ["hxserve models list"],
    "models promote": ['hxserve models promote digits 3 --why "learnt more hands"'],
    "models rollback": ["hxserve models rollback digits"],
    "models rollout": ["hxserve models rollout digits --candidate 3 --share 0.1"],
    "models share": ["hxserve models share digits@3"],
    "models show": ["hxserve models show digits", "hxserve models show digits production"],
    "models unshare": ["hxserve models unshare digits"],
    "models upload": ["hxserve models upload digits-3.safetensors --name mine"],
    "open": ["hxserve open", "hxserve open --no-browser"],
    "plan": ["hxserve plan"],
    "queue": ["hxserve queue"],
    "restore": ["hxserve restore tuesday.tar"],
    "run": ["hxserve run program.py", "hxserve run notebook.ipynb"],
    "staircase": ["hxserve staircase --epochs 5", "hxserve staircase --model digits --version production"],
    "teach": ["hxserve teach my-digits/", "hxserve teach my-digits/ --name anna"],
    "top": ["hxserve top", "hxserve top --once --json"],
    "train": [
        "hxserve train",
        "hxserve train --model mine --recipe notebook --epochs 5",
        "hxserve train --model hand --recipe adapt --start-from digits@latest --dataset my-digits",
    ],
    "up": ["hxserve up", "hxserve up --chip emulator --chips 2"],
    "usage": ["hxserve usage"],
    "users": ["hxserve users"],
    "users add": ["hxserve users add ada --expires 30d"],
    "users disable": ["hxserve users disable ada"],
    "users enable": ["hxserve users enable ada"],
    "users list": ["hxserve users list"],
    "users revoke": ["hxserve users revoke ada"],
    "users set": ["hxserve users set ada --max-queued-jobs 5"],
    "users token": ["hxserve users token ada --expires 30d"],
    "webhooks": ["hxserve webhooks"],
    "webhooks add": [
        "hxserve webhooks add https://example.org/hook",
        "hxserve webhooks add https://example.org/hook --event failed --kind training",
    ],
    "webhooks change": ["hxserve webhooks change HOOK --on"],
    "webhooks delete": ["hxserve webhooks delete HOOK"],
    "webhooks deliveries": ["hxserve webhooks deliveries", "hxserve webhooks deliveries --webhook HOOK"],
    "webhooks list": ["hxserve webhooks list"],
    "webhooks resend": ["hxserve webhooks resend DELIVERY"],
    "webhooks secret": ["hxserve webhooks secret jobs"],
    "webhooks show": ["hxserve webhooks show HOOK"],
    "webhooks test": ["hxserve webhooks test HOOK"],
}
"""Examples by command."""

NEXT: Final = {
    "calibrate": "hxserve evaluate",
    "chip drain": "hxserve chip resume",
    "classify": "hxserve classify --keep PICTURE, then hxserve corrections add",
    "completion install": "hxserve <Tab> in a new terminal",
    "corrections add": "hxserve corrections close DATASET",
    "corrections close": "hxserve train --dataset DATASET",
    "evaluate": "hxserve models compare MODEL VERSION",
    "models alias": "hxserve classify --version ALIAS PICTURE",
    "models compare": "hxserve models promote MODEL VERSION",
    "models promote": "hxserve models history MODEL",
    "models rollout": "hxserve models promote MODEL VERSION",
    "staircase": "hxserve models show staircase",
    "teach": "hxserve classify --model my-handwriting PICTURE",
    "users add": "hxserve open, signed in with the new token, or hxserve me --token TOKEN",
}
"""The step that usually comes after a command; results of jobs name theirs themselves."""


def leaves(command: click.Command, path: tuple[str, ...] = ()) -> Iterator[tuple[str, click.Command]]:
    """Yield all commands that do something, with the words that call them."""
    if isinstance(command, click.Group):
        for name, each in command.commands.items():
            yield from leaves(each, (*path, name))
    if path and not (isinstance(command, click.Group) and not command.invoke_without_command):
        yield " ".join(path), command


def add_examples(root: click.Command) -> None:
    """Let the help of each command end with its examples."""
    for words, command in leaves(root):
        if words in EXAMPLES and command.epilog is None:
            command.epilog = epilog(EXAMPLES[words])


def epilog(examples: list[str]) -> str:
    """Return examples as the end of a help."""
    return "\b\nExamples:\n" + "\n".join(f"  {example}" for example in examples)


def next_step(context: click.Context) -> str | None:
    """Return what to try after the command of this context."""
    words = []
    at: click.Context | None = context
    while at is not None and at.parent is not None:
        words.append(at.info_name or "")
        at = at.parent
    return NEXT.get(" ".join(reversed(words)))


def write_sections(group: click.Group, ctx: click.Context, formatter: click.HelpFormatter) -> None:
    """Write the commands of a group by section."""
    left = {name: group.get_command(ctx, name) for name in group.list_commands(ctx)}
    sections: dict[str, list[str]] = {
        title: [name for name in names if name in left] for title, names in SECTIONS.items()
    }
    placed = {name for names in sections.values() for name in names}
    sections["More"] = [name for name in left if name not in placed]
    for title, names in sections.items():
        rows = [(name, _short(left[name])) for name in names]
        if rows:
            with formatter.section(title):
                formatter.write_dl(rows)


def _short(command: Any) -> str:
    return command.get_short_help_str(60) if command else ""
