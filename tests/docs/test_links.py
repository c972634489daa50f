"""Links of the documentation lead somewhere, and the commands it mentions in passing exist."""

import re
from collections.abc import Iterator
from functools import cache
from importlib.util import find_spec
from itertools import pairwise
from pathlib import Path
from typing import Final

import click
import pytest
from markdown_it import MarkdownIt
from markdown_it.token import Token

from hxserve.cli import cli
from tests.docs.blocks import ROOT, documents

DOCUMENTS = [pytest.param(path, id=str(path.relative_to(ROOT))) for path in documents()]
_ELSEWHERE: Final = ("http://", "https://", "mailto:")
_PARSER: Final = MarkdownIt("commonmark").enable("table")


def _inline(path: Path) -> Iterator[Token]:
    for token in _PARSER.parse(path.read_text("utf-8")):
        yield from token.children or ()


@cache
def _anchors(path: Path) -> set[str]:
    """What one may link to in a document, as forges name its headings."""
    tokens = _PARSER.parse(path.read_text("utf-8"))
    titles = [after.content for token, after in pairwise(tokens) if token.type == "heading_open"]
    anchors: set[str] = set()
    for title in titles:
        plain = re.sub(r"[`*]|\[(.*?)\]\(.*?\)", r"\1", title).strip().lower()
        stem = re.sub(r"[^\w\- ]", "", plain).replace(" ", "-")
        number = 0
        anchor = stem
        while anchor in anchors:
            number += 1
            anchor = f"{stem}-{number}"
        anchors.add(anchor)
    return anchors


@pytest.mark.parametrize("path", DOCUMENTS)
def test_every_link_and_picture_leads_somewhere(path: Path) -> None:
    broken = []
    for token in _inline(path):
        target = str(token.attrs.get("href") or token.attrs.get("src") or "")
        if not target or target.startswith(_ELSEWHERE):
            continue
        name, _, anchor = target.partition("#")
        file = (path.parent / name).resolve() if name else path
        found = file.is_relative_to(ROOT) and file.exists()
        if not found or (anchor and (file.suffix != ".md" or anchor not in _anchors(file))):
            broken.append(target)

    assert broken == []


def _problem_of_hxserve(words: list[str]) -> str | None:
    """What is wrong with an `hxserve` command, as far as its names tell."""
    command: click.Command = cli
    for word in words:
        name = word.partition("=")[0]
        if isinstance(command, click.Group) and (found := command.get_command(click.Context(command), word)):
            command = found
        elif (
            isinstance(command, click.Group)
            and not name.startswith("-")
            and not command.invoke_without_command
        ):
            return None if word.isupper() else f"there is no {word!r}"
        elif name.startswith("--") and not _knows(command, name):
            return f"{command.name} has no {name}"
    return None


def _knows(command: click.Command, option: str) -> bool:
    # `up` hands what it does not know to the launcher, whose options deploy/local.py has.
    launcher = (ROOT / "deploy/local.py").read_text("utf-8") if command.name == "up" else ""
    known = {"--help"} | {name for param in command.params for name in (*param.opts, *param.secondary_opts)}
    return option in known or f'"{option}"' in launcher


def _problem_of(command: str) -> str | None:
    match command.split():
        case ["hxserve", *words]:
            return _problem_of_hxserve(words)
        case ["make", *words]:
            targets = re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text("utf-8"), re.MULTILINE)
            missing = [word for word in words if "=" not in word and word not in targets]
            return f"there is no target {missing[0]!r}" if missing else None
        case ["python", "-m", module, *_]:
            return None if find_spec(module) else f"there is no module {module!r}"
    return None


@pytest.mark.parametrize("path", DOCUMENTS)
def test_every_command_mentioned_in_passing_exists(path: Path) -> None:
    mentioned = [token.content for token in _inline(path) if token.type == "code_inline"]

    problems = [f"{command}: {problem}" for command in mentioned if (problem := _problem_of(command))]

    assert problems == []


@pytest.mark.parametrize(
    ("command", "said"),
    [
        ("hxserve trian", "there is no 'trian'"),
        ("hxserve train --epoch 3", "train has no --epoch"),
        ("hxserve users add ada --expires 30d", None),
        ("hxserve up --standby", None),
        ("hxserve up --standbye", "up has no"),
        ("make docks-test", "no target 'docks-test'"),
        ("python -m deploy.nothing", "no module"),
    ],
)
def test_a_command_that_does_not_exist_is_found(command: str, said: str | None) -> None:
    problem = _problem_of(command)

    assert (problem is None) if said is None else said in (problem or "")


def test_an_anchor_is_named_as_forges_name_it(tmp_path: Path) -> None:
    document = tmp_path / "document.md"
    document.write_text("# What it *costs*: `hxserve plan`\n\n## Twice\n\n## Twice\n")

    assert _anchors(document) == {"what-it-costs-hxserve-plan", "twice", "twice-1"}
