"""The Jupyter kernel whose hxtorch is the shared chip: `python -m hxserve.programs.kernel -f CONNECTION_FILE`."""

import json
import sys
import tempfile
from collections.abc import Mapping, Sequence
from importlib.machinery import ModuleSpec
from pathlib import Path
from types import ModuleType
from typing import Any, Final

from jupyter_client.kernelspec import KernelSpec, KernelSpecManager
from jupyter_client.manager import AsyncKernelManager

from hxserve.errors import SharedChipError

NAME: Final = "hxserve"
DISPLAY_NAME: Final = "hxserve (shared chip)"
_ARGV: Final = [sys.executable, "-m", "hxserve.programs.kernel", "-f", "{connection_file}"]


class _SharedChipKernels(KernelSpecManager):
    """Finds the kernel of this environment under every name, installed or not."""

    def get_kernel_spec(self, kernel_name: str) -> KernelSpec:  # noqa: ARG002 - whichever the notebook names
        """Return the kernel's specification."""
        return KernelSpec(argv=[*_ARGV, "--log-level=ERROR"], display_name=DISPLAY_NAME, language="python")


class SharedChipKernelManager(AsyncKernelManager):
    """Starts the kernel of this environment, whichever the notebook names."""

    def __init__(self, **settings: Any) -> None:
        super().__init__(**settings, kernel_spec_manager=_SharedChipKernels())


def install_kernel(prefix: str | None, environment: Mapping[str, str]) -> Path:
    """Put the kernel where Jupyter finds it; return its folder, which only its owner can read.

    Args:
        prefix: of an environment, such as `sys.prefix`; None for the user's own folder.
        environment: variables with which the kernel starts.
    """
    specification = {
        "argv": _ARGV,
        "display_name": DISPLAY_NAME,
        "language": "python",
        "env": dict(environment),
        "metadata": {"debugger": True},
    }
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "kernel.json"
        file.touch(mode=0o600)
        file.write_text(json.dumps(specification, indent=1))
        place = KernelSpecManager().install_kernel_spec(folder, NAME, user=prefix is None, prefix=prefix)
    return Path(place)


class _Refusal:
    """Lets `import hxtorch` fail with a reason, in place of a kernel that does not start."""

    def __init__(self, reason: str) -> None:
        self._reason = reason

    def find_spec(
        self, name: str, path: Sequence[str] | None = None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        """Find nothing.

        Raises:
            ImportError: hxtorch is asked for.
        """
        del path, target
        if name == "hxtorch":
            raise ImportError(self._reason)
        return None


def main(arguments: list[str]) -> None:
    """Run the kernel until it is shut down."""
    from ipykernel.kernelapp import IPKernelApp  # noqa: PLC0415 - the same as below

    from hxserve.programs.installation import use_shared_chip  # noqa: PLC0415 - only the kernel itself needs torch

    app: Any = IPKernelApp.instance()
    app.initialize(arguments)
    # After the kernel has replaced stderr, so that hxtorch's log goes to the notebook.
    try:
        use_shared_chip()
    except SharedChipError as error:
        sys.meta_path.insert(0, _Refusal(error.detail))
    app.start()


if __name__ == "__main__":
    main(sys.argv[1:])
