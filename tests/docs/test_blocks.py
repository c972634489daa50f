"""Every block of the documentation is run, or says why not."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from markdown_it import MarkdownIt

from tests.docs.blocks import ROOT, Block, blocks_of, documents
from tests.docs.terminal import Terminal, checkout

DOCUMENTS = [pytest.param(path, id=str(path.relative_to(ROOT))) for path in documents()]
RUN = [
    pytest.param(path, id=str(path.relative_to(ROOT)), marks=[pytest.mark.long] * (path.name != "README.md"))
    for path in documents()
    if any(block.is_run for block in blocks_of(path))
]


@pytest.fixture
def terminal(short_folder: Path) -> Iterator[Terminal]:
    """A terminal in a fresh checkout, whose path leaves room for the name of a socket."""
    with checkout(short_folder) as place:
        terminal = Terminal(place)
        yield terminal
        terminal.close()


@pytest.mark.parametrize("path", DOCUMENTS)
def test_every_block_is_run_or_says_why_not(path: Path) -> None:
    problems = [f"{block.place}: {block.problem()}" for block in blocks_of(path) if block.problem()]

    assert problems == []


@pytest.mark.parametrize("path", DOCUMENTS)
def test_no_code_hides_in_an_indented_block(path: Path) -> None:
    tokens = MarkdownIt("commonmark").parse(path.read_text("utf-8"))

    lines = [token.map[0] + 1 for token in tokens if token.type == "code_block" and token.map]

    assert lines == [], "put these between ``` with a language"


@pytest.mark.system
@pytest.mark.timeout(1800)
@pytest.mark.parametrize("path", RUN)
def test_the_commands_of_a_document_work_one_after_the_other(path: Path, terminal: Terminal) -> None:
    run = [block for block in blocks_of(path) if block.is_run]

    for block in run:
        terminal.run(block)

    assert run


@pytest.fixture
def bare_terminal(tmp_path: Path) -> Iterator[Terminal]:
    """A terminal in an empty folder."""
    place = tmp_path / "place"
    place.mkdir()
    terminal = Terminal(place)
    yield terminal
    terminal.close()


def _a_block(language: str, source: str, **mark: str) -> Block:
    return Block(ROOT / "README.md", 7, language, source, **mark)


@pytest.mark.parametrize(
    ("language", "source", "said"),
    [
        ("", "make demo", "not run"),
        ("sh", "make demo", "not run"),
        ("text", "first\nhxserve train\n", "is a command"),
        ("json", "{'a': 1}", "not json"),
    ],
)
def test_a_block_that_nobody_runs_is_told_so(language: str, source: str, said: str) -> None:
    assert said in (_a_block(language, source).problem() or "")


def test_a_mark_without_a_reason_does_not_count() -> None:
    assert "no reason" in (_a_block("bash", "make demo", not_run="").problem() or "")


def test_a_command_that_fails_fails_the_test(bare_terminal: Terminal) -> None:
    with pytest.raises(AssertionError, match=r"README\.md:7 ended with 1"):
        bare_terminal.run(_a_block("bash", "false\ntrue"))


def test_what_one_block_exports_the_next_ones_know(bare_terminal: Terminal) -> None:
    bare_terminal.run(_a_block("bash", "export COLOUR='dark blue'"))

    bare_terminal.run(_a_block("bash", 'test "$COLOUR" = "dark blue"'))
    bare_terminal.run(_a_block("python", "import os\nassert os.environ['COLOUR'] == 'dark blue'"))


def test_a_block_in_the_background_that_ends_is_an_error(bare_terminal: Terminal) -> None:
    with pytest.raises(AssertionError, match="ended"):
        bare_terminal.run(_a_block("bash", "echo no", background="ready"))
