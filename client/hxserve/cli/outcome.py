"""Outcome of a command: one readable line on stderr and an exit code, never a traceback."""

from __future__ import annotations

import errno
import re
import sys
from collections.abc import Iterable
from importlib.util import find_spec
from typing import Any, Final

import click

from hxserve.cli.options import OptionsGroup
from hxserve.errors import AddressError, ClientError, ConnectionFailedError, ServiceError, StillRunningError
from hxserve.phrases import one_line

REFUSED: Final = 1
UNREACHABLE: Final = 3
INTERRUPTED: Final = 130

EXIT_CODES: Final = """\b
Exit codes:
  0    done
  1    the service or the job said no
  2    the command line is wrong
  3    no service answers
  130  interrupted with Ctrl-C; jobs go on

\b
Environment:
  HXSERVE_URL, HXSERVE_TOKEN    the service to use
  NO_COLOR                      no colours
"""

_HINTS: Final = {
    "not_authenticated": "give the service's token with --token or HXSERVE_TOKEN",
    "model_not_found": "see `hxserve models`",
    "dataset_not_found": "see `hxserve datasets`",
    "job_not_found": "see `hxserve jobs`",
    "queue_full": "see `hxserve queue`",
    "quota_exceeded": "see `hxserve me`",
}


class Failure(click.ClickException):
    """An error that the user should read."""

    exit_code = REFUSED

    def __init__(self, code: str, detail: str) -> None:
        super().__init__(detail)
        self.code = code

    def show(self, file: Any = None) -> None:
        """Write the error to stderr: its code, its cause, and the remedy."""
        hint = _hint_of(self.code, self.message)
        said = one_line(self.message).rstrip(".")
        if hint and "`hxserve" not in said:
            said += f"; {hint}"
        click.echo(f"hxserve: {self.code}: {said}", file=file or sys.stderr)


def require_libraries(modules: Iterable[str], code: str, purpose: str, extra: str) -> None:
    """Raise unless the libraries of an extra are installed.

    Raises:
        Failure: they are not.
    """
    missing = [name for name in modules if find_spec(name) is None]
    if missing:
        raise Failure(
            code,
            f"{purpose} need {', '.join(missing)}; install them with `pip install '{extra}'`",
        )


def _hint_of(code: str, message: str) -> str | None:
    """Return the remedy for an error, if there is one to name."""
    missing = re.match(r"there is no model '(?P<name>[a-z0-9][a-z0-9._-]*)'", message)
    if code == "model_not_found" and missing:
        model = "" if missing["name"] == "digits" else f" --model {missing['name']}"
        return f"`hxserve train{model}` makes it, `hxserve models` lists what there is"
    return _HINTS.get(code)


class UnreachableFailure(Failure):
    """There is no service to ask."""

    exit_code = UNREACHABLE


def failure_of(error: ClientError) -> Failure:
    """Return a client's error as the end of a command."""
    if isinstance(error, ConnectionFailedError | AddressError):
        return UnreachableFailure(error.code, error.detail)
    if isinstance(error, StillRunningError):
        return Failure(error.code, f"{error.detail}; watch it with `hxserve jobs watch {error.job.id}`")
    if isinstance(error, ServiceError) and error.retryable and error.retry_after_s:
        return Failure(error.code, f"{error.detail}; try again in {error.retry_after_s:g} s")
    return Failure(error.code, error.detail)


class CommandGroup(OptionsGroup):
    """The outermost group: translates every error into a line and an exit code."""

    def invoke(self, ctx: click.Context) -> Any:
        """Run the command that was named."""
        try:
            return super().invoke(ctx)
        except ClientError as error:
            raise failure_of(error) from None
        except KeyboardInterrupt:
            click.echo("hxserve: interrupted", err=True)
            ctx.exit(INTERRUPTED)
        except OSError as error:
            if error.errno == errno.EPIPE:
                raise
            raise Failure("file_error", f"{error.filename or 'a file'}: {error.strerror or error}") from None
