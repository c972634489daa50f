"""The documents, and their fenced blocks as Sybil finds them: what is run, what is only read, what is marked."""

import json
import re
import tomllib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import yaml
from sybil import Document, Region
from sybil.parsers.markdown.lexers import DirectiveInHTMLCommentLexer, RawFencedCodeBlockLexer

ROOT: Final = Path(__file__).parents[2]
RUN: Final = ("bash", "python", "diff")
READ: Final[dict[str, Callable[[str], object]]] = {
    "json": json.loads,
    "toml": tomllib.loads,
    "yaml": yaml.safe_load,
}
"""Languages that are data; a block is read, so that it is at least well-formed."""
_COMMAND: Final = re.compile(
    r"^(\$ |(sudo |docker |make |hxserve |python3? |curl |pip |git |source |export |systemctl ).*)",
    re.MULTILINE,
)
_FENCES: Final = RawFencedCodeBlockLexer(re.compile(r"(?P<language>[^\n]*)$\n", re.MULTILINE))
_MARKS: Final = DirectiveInHTMLCommentLexer("not run|background")


@dataclass(frozen=True, slots=True)
class Block:
    """A fenced block and the mark above it.

    Attributes:
        path: The document.
        line: Where its fence is.
        language: What stands behind the fence.
        source: What stands within.
        not_run: Why it is not run; None when it is.
        background: What it has printed once it is up, for a block that goes on beside those after it.
    """

    path: Path
    line: int
    language: str
    source: str
    not_run: str | None = None
    background: str | None = None

    @property
    def place(self) -> str:
        """Where a reader finds it."""
        return f"{self.path.relative_to(ROOT)}:{self.line}"

    @property
    def is_run(self) -> bool:
        """Whether the tests execute it."""
        return self.not_run is None and self.language in RUN

    def problem(self) -> str | None:
        """What is wrong with a block that is neither run nor marked, if anything."""
        if self.not_run is not None:
            return None if self.not_run else "the mark gives no reason; write <!-- not run: why -->"
        match self.language:
            case language if language in RUN:
                return None
            case language if language in READ:
                return _misread(language, self.source)
            case "text":
                found = _COMMAND.search(self.source)
                return (
                    found
                    and f"{found[0]!r} is a command; make the block `bash`, or mark it <!-- not run: why -->"
                )
            case language:
                known = ", ".join((*RUN, *READ, "text"))
                return f"{language!r} is not run; use one of {known}, or mark it <!-- not run: why -->"


def _misread(language: str, source: str) -> str | None:
    try:
        READ[language](source)
    except (ValueError, yaml.YAMLError) as error:
        return f"this is not {language}: {error}"
    return None


def documents() -> list[Path]:
    """README.md and everything in docs."""
    return [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]


def blocks_of(path: Path) -> Iterator[Block]:
    """The fenced blocks of a document, in order.

    Raises:
        AssertionError: a mark has no block right after it.
    """
    document = Document.parse(str(path), _regions)
    mark: Region | None = None
    for example in document.examples():
        region = example.region
        if "directive" in region.lexemes:
            assert mark is None, f"{path}:{example.line}: two marks above one block"
            mark = region
            continue
        marks = {}
        if mark is not None:
            between = document.text[mark.end : region.start].removeprefix("-->")
            assert not between.strip(), f"{path}:{example.line}: the mark above is not right above a block"
            marks[mark.lexemes["directive"].replace(" ", "_")] = mark.lexemes["arguments"].strip()
            mark = None
        language, source = region.lexemes["language"].strip(), str(region.lexemes["source"])
        yield Block(path, example.line, language, source, **marks)
    assert mark is None, f"{path}: a mark at the end marks nothing"


def _regions(document: Document) -> Iterator[Region]:
    yield from _FENCES(document)
    yield from _MARKS(document)
