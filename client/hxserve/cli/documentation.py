"""The command `docs`: the documentation as pages, built here and shown in a browser."""

import subprocess
import sys
import webbrowser
from contextlib import suppress
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Final

import click

import hxserve
from hxserve.cli.console import show_json, show_line
from hxserve.cli.options import Options, OptionsCommand
from hxserve.cli.outcome import Failure, require_libraries
from hxserve.cli.page import can_open

_LIBRARIES: Final = ("furo", "myst_parser", "sphinx")


@click.command(cls=OptionsCommand)
@click.option("--build-only", is_flag=True, help="Build the pages; do not show them.")
@click.option("--no-open", is_flag=True, help="Serve the pages without opening a browser.")
@click.option(
    "--port", type=click.IntRange(0, 65535), default=0, help="Port to serve them at.  [default: any free one]"
)
@click.option(
    "--source",
    type=click.Path(exists=True, file_okay=False, path_type=Path),
    help="The folder `docs` of a checkout.  [default: that of this one]",
)
@click.option(
    "--output",
    type=click.Path(file_okay=False, path_type=Path),
    help="Folder of the pages.  [default: build/docs beside the source]",
)
def docs(
    options: Options, /, build_only: bool, no_open: bool, port: int, source: Path | None, output: Path | None
) -> None:
    """Build the documentation with the reference of this client, and show it in a browser; Ctrl-C ends it."""
    require_libraries(_LIBRARIES, "docs_not_installed", "the pages", "hxserve[docs]")
    folder = source or _find_source()
    target = output or folder.parent / "build" / "docs"
    _build(folder, target)
    if build_only:
        _say(options, {"pages": str(target)}, f"The pages are in {target}.")
        return
    handler = partial(_QuietHandler, directory=str(target))
    with ThreadingHTTPServer(("127.0.0.1", port), handler) as server:
        url = f"http://127.0.0.1:{server.server_port}/"
        _say(options, {"pages": str(target), "url": url}, f"The documentation is at {url}; Ctrl-C ends it.")
        if not no_open and can_open():
            webbrowser.open(url)
        with suppress(KeyboardInterrupt):
            server.serve_forever()


def _find_source() -> Path:
    """Return the documentation of the checkout that this client, or this folder, is of."""
    for folder in (Path.cwd(), Path(hxserve.__file__).parents[2]):
        if (folder / "docs" / "conf.py").exists():
            return folder / "docs"
    raise Failure(
        "no_docs",
        "the documentation is in the repository, not in the package; name its folder with --source DIR",
    )


def _build(source: Path, target: Path) -> None:
    command = [sys.executable, "-m", "sphinx", "--quiet", str(source), str(target)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)  # noqa: S603 our own interpreter
    if done.returncode:
        raise Failure("docs_failed", f"the pages could not be built: {done.stderr.strip()[-500:]}")


def _say(options: Options, facts: dict[str, str], line: str) -> None:
    if options.as_json:
        show_json(facts)
    else:
        show_line(line)
    sys.stdout.flush()


class _QuietHandler(SimpleHTTPRequestHandler):
    """Serves files without a line for each."""

    def log_message(self, *_: object) -> None:
        """Say nothing."""
