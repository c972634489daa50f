"""The documentation as pages: `make docs` builds it, `hxserve docs` shows it."""  # noqa: INP001 Sphinx runs this file

import os
import re
import shutil
import sys
from pathlib import Path
from typing import Any, Final

import click

sys.path.insert(0, str(Path(__file__).parent.parent / "client"))

from hxserve.cli import cli
from hxserve.cli.guidance import leaves

project = "hxserve"
extensions = ["myst_parser", "sphinx.ext.autodoc", "sphinx.ext.napoleon"]
root_doc = "README"
exclude_patterns = ["examples"]
html_theme = "furo"
html_title = "hxserve"
html_show_sphinx = False
html_show_copyright = False
myst_heading_anchors = 4
default_role = "code"
autodoc_member_order = "bysource"
autodoc_typehints = "description"
autodoc_typehints_description_target = "documented"

_ROW: Final = re.compile(r"^\| \*\*(?P<title>[^*]+)\*\*.*? \| (?P<links>.*) \|$", re.MULTILINE)
"""A row of the first page's table of purposes; its links are a section."""
_LINK: Final = re.compile(r"\]\((?!\.\./)([\w/-]+)\.md\)")
_OUTSIDE: Final = re.compile(r"\]\((\.\./[A-Z]+\.md)\)")
"""A link to a page beside this folder, which is no page of the site but a file to download."""
_GENERATED: Final = {"Reference": ["reference/client", "reference/commands"]}


def setup(app: Any) -> None:
    """Add what is generated: sections on the first page, the commands, an index."""
    app.connect("source-read", _add_generated)
    app.connect("build-finished", _add_index)


def _add_generated(app: Any, page: str, source: list[str]) -> None:
    del app
    source[0] = _OUTSIDE.sub(r"](path:\1)", source[0])
    match page:
        case "README":
            rows = list(_ROW.finditer(source[0]))
            source[0] += "".join(
                _toctree(
                    [*_GENERATED.get(row["title"], ()), *_LINK.findall(row["links"])],
                    f":caption: {row['title']}",
                )
                for row in rows
            )
        case "decisions/README":
            source[0] += _toctree(["[0-9]*"], ":glob:")
        case "reference/commands":
            source[0] += "".join(_described(words, command) for words, command in leaves(cli))


def _add_index(app: Any, error: Exception | None) -> None:
    if error is None:
        shutil.copyfile(Path(app.outdir, "README.html"), Path(app.outdir, "index.html"))


def _toctree(pages: list[str], option: str) -> str:
    return "\n```{toctree}\n:hidden:\n" + "\n".join([option, "", *pages]) + "\n```\n"


def _described(words: str, command: click.Command) -> str:
    """Return a command's help as a section."""
    title = f"hxserve {words}"
    os.environ["COLUMNS"] = "100"
    context = click.Context(command, info_name=title)
    text = "\n".join(f"   {line}".rstrip() for line in command.get_help(context).splitlines())
    return f"\n\n{title}\n{'-' * len(title)}\n\n.. code-block:: text\n\n{text}\n"
