"""Running a notebook from the first cell to the last, on the shared chip."""

import asyncio
import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import nbformat
from nbclient import NotebookClient
from nbclient.exceptions import CellExecutionError, DeadKernelError

from hxserve.errors import ClientError
from hxserve.programs.kernel import SharedChipKernelManager
from hxserve.programs.parameters import replace_assignments

_START_TIMEOUT_S: Final = 300
_LOOK_AGAIN_S: Final = 0.5


class _WidgetProofClient(NotebookClient):
    """A client of a kernel that also finds replies whose arrival it was not told of.

    nbclient sends the state of output widgets on the socket on which it waits for the reply to the cell. ZeroMQ
    tells of arrivals once, and a reply that comes while something is sent is never noticed
    (github.com/jupyter/nbclient/issues/312). Polling the socket anew finds it.
    """

    async def async_execute_cell(self, *arguments: Any, **options: Any) -> Any:
        """Execute a cell, and look for its reply every half second besides."""
        looking = asyncio.ensure_future(self._look_again())
        try:
            return await super().async_execute_cell(*arguments, **options)
        finally:
            looking.cancel()

    async def _look_again(self) -> None:
        while True:
            await asyncio.sleep(_LOOK_AGAIN_S)
            if self.kc is not None:
                await self.kc.shell_channel.socket.poll(1)


class NotebookError(ClientError):
    """The notebook cannot be run."""

    code = "notebook_unreadable"


class CellFailedError(ClientError):
    """A cell of the notebook failed."""

    code = "cell_failed"


@dataclass(frozen=True, slots=True)
class Executed:
    """A notebook that ran.

    Attributes:
        path: of the notebook with its outputs.
        cells: number of code cells that ran.
    """

    path: Path
    cells: int


def executed_path(path: Path) -> Path:
    """Return where the notebook with its outputs is saved: `NAME.executed.ipynb` beside it."""
    return path.with_suffix(".executed.ipynb")


def run_notebook(
    path: Path,
    output: Path,
    values: Mapping[str, str],
    environment: Mapping[str, str],
    on_cell: Callable[[int, int], None],
) -> Executed:
    """Run a notebook in its folder; save it with its outputs, also when a cell fails.

    Args:
        path: of the notebook.
        output: where it is saved.
        values: Python source of the values of variables, in place of those that the cells assign.
        environment: of the kernel.
        on_cell: called with the number of finished code cells and of all, before the first cell and after each.

    Raises:
        NotebookError: it is missing, or no notebook.
        NoSuchVariableError: no cell assigns a variable of `values`.
        CellFailedError: a cell raised an exception, or ended the kernel.
    """
    notebook = _read(path)
    code = [cell for cell in notebook.cells if cell.cell_type == "code"]
    for cell, source in zip(code, replace_assignments([cell.source for cell in code], values), strict=True):
        cell.source, cell.outputs, cell.execution_count = source, [], None
    full = [cell for cell in code if cell.source.strip()]
    started = 0
    on_cell(started, len(full))

    def note_start(**_: Any) -> None:
        nonlocal started
        started += 1

    def note_end(**_: Any) -> None:
        on_cell(started, len(full))

    client = _WidgetProofClient(
        notebook,
        kernel_manager_class=SharedChipKernelManager,
        timeout=None,
        startup_timeout=_START_TIMEOUT_S,
        resources={"metadata": {"path": str(path.resolve().parent)}},
        on_cell_execute=note_start,
        on_cell_executed=note_end,
    )
    try:
        client.execute(env={**environment, "JPY_SESSION_NAME": os.fspath(path)})
    except CellExecutionError as error:
        raise CellFailedError(_explain(error, started, output)) from error
    except DeadKernelError as error:
        raise CellFailedError(f"code cell {started} ended the kernel ({error})") from error
    finally:
        nbformat.write(notebook, output)
    return Executed(output, len(full))


def _explain(error: CellExecutionError, number: int, output: Path) -> str:
    return f"code cell {number}: {error.ename}: {error.evalue}; its traceback is in {output}"


def _read(path: Path) -> Any:
    try:
        return nbformat.read(path, as_version=4)
    except OSError as error:
        raise NotebookError(f"{path}: {error.strerror or error}") from None
    except (ValueError, AttributeError, nbformat.reader.NotJSONError) as error:
        raise NotebookError(f"{path} is no notebook: {str(error)[:200]}") from None
