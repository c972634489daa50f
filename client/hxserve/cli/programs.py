"""Commands for programs written for hxtorch: `run` and `kernel`."""

import os
import sys
import traceback
from collections.abc import Mapping
from pathlib import Path
from typing import Final

import click

from hxserve.addresses import find_address
from hxserve.cli.console import show_json, show_line
from hxserve.cli.options import Options, OptionsCommand, OptionsGroup
from hxserve.cli.outcome import Failure, require_libraries
from hxserve.errors import AddressError
from hxserve.progress import cells_progress

_CHIP_LIBRARIES: Final = ("torch", "hxtorch_emulator", "safetensors")
_KERNEL_LIBRARIES: Final = ("ipykernel", "nbclient")
_CHIP = click.option(
    "--chip", metavar="ID", help="The chip to use; HXSERVE_CHIP_ID, else the least busy one."
)


@click.command(
    cls=OptionsCommand,
    # -m and everything after it, or after the program's name, is the program's.
    context_settings={"allow_interspersed_args": False, "ignore_unknown_options": True},
)
@_CHIP
@click.option(
    "--param",
    "params",
    metavar="NAME=VALUE",
    multiple=True,
    help="Value of a notebook's variable, in place of those that its cells assign. Repeatable.",
)
@click.option(
    "--expr",
    "expressions",
    metavar="NAME=EXPRESSION",
    multiple=True,
    help="The same, as a Python expression: --expr 'model=Model(mock=False)'. Repeatable.",
)
@click.option(
    "-o", "--output", metavar="FILE", help="The notebook with its outputs.  [default: NAME.executed.ipynb]"
)
@click.argument(
    "program", nargs=-1, type=click.UNPROCESSED, metavar="(SCRIPT | -m MODULE | NOTEBOOK.ipynb) [ARGS]..."
)
def run(
    options: Options,
    /,
    chip: str | None,
    params: tuple[str, ...],
    expressions: tuple[str, ...],
    output: str | None,
    program: tuple[str, ...],
) -> None:
    """Run a program written for hxtorch, unchanged, on the shared chip.

    A script or module runs here, and its layers compute on the chip; with mock=True they compute here. A notebook is
    run from the first cell to the last, and saved with its outputs beside itself.
    """
    match program:
        case () | ("-m",):
            raise click.UsageError("name a script, a notebook, or a module with -m")
        case (name, *_) if name.startswith("-") and name != "-m":
            raise click.NoSuchOption(name)
        case (name, *rest) if name.endswith(".ipynb"):
            if rest:
                raise click.UsageError(
                    "a notebook takes no arguments; give its variables values with --param"
                )
            _require(*_CHIP_LIBRARIES, *_KERNEL_LIBRARIES)
            os.environ.update(_environment(options, chip))
            values = dict((*_values("--param", params), *_values("--expr", expressions)))
            _run_notebook(Path(name), output, values, as_json=options.as_json)
        case _:
            if params or expressions or output:
                raise click.UsageError(
                    "--param, --expr and --output are for notebooks; give a script its arguments after its name"
                )
            _require(*_CHIP_LIBRARIES)
            os.environ.update(_environment(options, chip))
            _run_program(list(program))


@click.group(cls=OptionsGroup)
def kernel() -> None:
    """A Jupyter kernel whose hxtorch is the shared chip."""


@kernel.command("install", cls=OptionsCommand)
@_CHIP
@click.option("--prefix", metavar="DIR", help="Environment to install it in, instead of for the user.")
@click.option("--sys-prefix", is_flag=True, help="Install it in the environment of this command.")
def install(options: Options, /, chip: str | None, prefix: str | None, sys_prefix: bool) -> None:
    """Install the kernel "hxserve (shared chip)" for Jupyter.

    A notebook written for hxtorch runs in it unchanged. The service that is named or found now is recorded in the
    kernel; its token only if --token gives it.
    """
    _require(*_CHIP_LIBRARIES, *_KERNEL_LIBRARIES)
    from hxserve.programs.kernel import DISPLAY_NAME, install_kernel  # noqa: PLC0415 takes its time

    place = install_kernel(sys.prefix if sys_prefix else prefix, _recorded(options, chip))
    if options.as_json:
        show_json({"kernel": place.name, "display_name": DISPLAY_NAME, "folder": str(place)})
    else:
        show_line(f'The kernel "{DISPLAY_NAME}" is in {place}; choose it in Jupyter.')


def _require(*modules: str) -> None:
    require_libraries(
        modules, "programs_not_installed", "programs on the shared chip", "hxserve[hxtorch,kernel]"
    )


def _environment(options: Options, chip: str | None) -> dict[str, str]:
    """Return the variables by which a program finds the service and the chip.

    Without a service it may still compute with mock=True.
    """
    named = {"HXSERVE_CHIP_ID": chip} if chip else {}
    try:
        address = find_address(options.url, options.token, options.data_dir)
    except AddressError:
        if options.url:
            raise
        return named
    return {
        **named,
        "HXSERVE_URL": address.url,
        **({"HXSERVE_TOKEN": address.token} if address.token else {}),
    }


def _recorded(options: Options, chip: str | None) -> dict[str, str]:
    """Return the variables that the kernel starts with."""
    variables = {"HXSERVE_CHIP_ID": chip, "HXSERVE_TOKEN": options.token}
    if options.url or os.environ.get("HXSERVE_URL"):
        variables["HXSERVE_URL"] = find_address(options.url).url
    else:
        folder = options.data_dir or os.environ.get("HXSERVE_DATA_DIR") or "data"
        find_address(data_dir=folder)
        variables["HXSERVE_DATA_DIR"] = str(Path(folder).resolve())
    return {name: value for name, value in variables.items() if value}


def _run_program(arguments: list[str]) -> None:
    """Run a script or module in this process; it ends as Python would end it."""
    if arguments[0] != "-m" and not Path(arguments[0]).exists():
        raise Failure("file_error", f"{arguments[0]}: there is no such script")
    from hxserve.programs.installation import use_shared_chip  # noqa: PLC0415 the same
    from hxtorch_emulator.__main__ import main as run_program  # noqa: PLC0415 takes seconds, and torch

    use_shared_chip()
    try:
        run_program(arguments)
    except Exception:  # noqa: BLE001 - the program's own, shown as Python shows it
        traceback.print_exc()
        sys.exit(1)


def _run_notebook(path: Path, output: str | None, values: Mapping[str, str], *, as_json: bool) -> None:
    from hxserve.programs.notebooks import executed_path, run_notebook  # noqa: PLC0415 takes its time

    with cells_progress(path.name) as update:
        done = run_notebook(path, Path(output) if output else executed_path(path), values, os.environ, update)
    if as_json:
        show_json({"notebook": str(path), "executed": str(done.path), "cells": done.cells})
    else:
        show_line(f"{done.cells} cells of {path} ran; with their outputs they are in {done.path}")


def _values(option: str, texts: tuple[str, ...]) -> list[tuple[str, str]]:
    from hxserve.programs.parameters import parse_parameter  # noqa: PLC0415 - only notebooks need it

    try:
        return [parse_parameter(text, is_expression=option == "--expr") for text in texts]
    except ValueError as error:
        raise click.BadParameter(str(error), param_hint=option) from None
