"""The genuine hxtorch: whether it is here, and its modules."""

import importlib
import importlib.util
import sys
from typing import Any

import hxtorch_emulator as emulator
from services.errors import ChipUnavailableError


def is_hxtorch_installed() -> bool:
    """Return whether the genuine hxtorch can be imported; the emulator under its name does not count."""
    if "hxtorch" in sys.modules:
        return sys.modules["hxtorch"] is not emulator
    return importlib.util.find_spec("hxtorch") is not None


def import_hxtorch() -> tuple[Any, Any]:
    """Return the modules `hxtorch` and `hxtorch.perceptron`.

    Raises:
        ChipUnavailableError: hxtorch is not installed, or cannot be loaded.
    """
    if not is_hxtorch_installed():
        raise ChipUnavailableError(
            "hxtorch is not installed here; it comes with the BrainScaleS-2 software container. Start the worker "
            "inside it, or choose `--chip emulator`"
        )
    try:
        return importlib.import_module("hxtorch"), importlib.import_module("hxtorch.perceptron")
    except ImportError as error:
        raise ChipUnavailableError(
            f"hxtorch is installed but cannot be loaded: {error}; start the worker in its software container"
        ) from error
