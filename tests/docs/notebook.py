"""`python -m tests.docs.notebook`: executes docs/notebook.ipynb on a service of its own, and keeps what it shows."""

import os
import tempfile
from pathlib import Path
from typing import Final

import nbformat
from nbclient import NotebookClient
from nbformat import NotebookNode

from deploy.local import running
from services.settings import load_settings

NOTEBOOK: Final = Path(__file__).parents[2] / "docs/notebook.ipynb"
_CELL_S: Final = 240


def execute(folder: Path) -> NotebookNode:
    """The notebook with its outputs, run on two virtual chips whose data are in `folder`.

    Raises:
        CellExecutionError: a cell failed.
    """
    notebook = nbformat.read(NOTEBOOK, as_version=4)
    settings = load_settings(data_dir=folder / "data", chip="emulator", port=0)
    with running(settings, chips=2) as local:
        inherited = {
            name: text for name, text in os.environ.items() if not name.startswith(("HXSERVE_", "MPL"))
        }
        kernel = NotebookClient(
            notebook,
            timeout=_CELL_S,
            kernel_name="python3",
            record_timing=False,
            resources={"metadata": {"path": str(folder)}},
        )
        done: NotebookNode = kernel.execute(
            env=inherited | {"HXSERVE_URL": local.url, "HXSERVE_TOKEN": local.token}
        )
    done.metadata.language_info = {"name": "python"}  # not the version that ran it
    return done


def main() -> None:
    """Writes the notebook anew, with its outputs."""
    with tempfile.TemporaryDirectory(prefix="hx") as folder:
        nbformat.write(execute(Path(folder)), NOTEBOOK)


if __name__ == "__main__":
    main()
