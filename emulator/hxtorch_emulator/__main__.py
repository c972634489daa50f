"""Run a program written for hxtorch on the emulator.

``python -m hxtorch_emulator [--chip ID] SCRIPT ARGS...``, or ``... -m MODULE ARGS...``, or ``... NOTEBOOK.ipynb``,
which IPython runs like a script.
"""

import runpy
import sys
from pathlib import Path

from hxtorch_emulator import connection
from hxtorch_emulator.chip.virtual_chip import VirtualChip
from hxtorch_emulator.installation import install

_USAGE = "usage: python -m hxtorch_emulator [--chip ID] (SCRIPT | -m MODULE | NOTEBOOK.ipynb) [ARGS...]"


def main(arguments: list[str]) -> None:
    """Run the program that ``arguments`` name, as Python itself would."""
    if arguments[:1] == ["--chip"] and len(arguments) > 1:
        connection.choose_chip(VirtualChip(arguments[1]))
        arguments = arguments[2:]
    match arguments:
        case ["-m", module, *rest]:
            install()
            sys.argv = [module, *rest]
            sys.path.insert(0, str(Path.cwd()))
            runpy.run_module(module, run_name="__main__", alter_sys=True)
        case [notebook, *_] if notebook.endswith(".ipynb") and Path(notebook).exists():
            main(["-m", "IPython", *arguments])
        case [script, *_] if not script.startswith("-"):
            if not Path(script).exists():
                sys.exit(f"{script} does not exist\n{_USAGE}")
            install()
            sys.argv = arguments
            sys.path.insert(0, str(Path(script).resolve().parent))
            runpy.run_path(script, run_name="__main__")
        case _:
            sys.exit(_USAGE)


if __name__ == "__main__":
    main(sys.argv[1:])
