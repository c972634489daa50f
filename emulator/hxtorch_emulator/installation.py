"""Letting ``import hxtorch`` find the emulator."""

import importlib
import importlib.util
import sys

_MODULES = ("perceptron", "perceptron.nn", "perceptron.constants", "perceptron.constants.defaults", "logger")


def install() -> None:
    """Register the emulator as ``hxtorch``, with ``hxtorch.ann`` as the old name of ``hxtorch.perceptron``.

    Calling it again changes nothing.

    Raises:
        RuntimeError: a real hxtorch is importable; it must never be hidden.
    """
    emulator = importlib.import_module("hxtorch_emulator")
    if sys.modules.get("hxtorch") is emulator:
        return
    if "hxtorch" in sys.modules or importlib.util.find_spec("hxtorch") is not None:
        raise RuntimeError("the real hxtorch is importable here; run the program without the emulator")
    sys.modules["hxtorch"] = emulator
    for name in _MODULES:
        module = importlib.import_module(f"hxtorch_emulator.{name}")
        sys.modules[f"hxtorch.{name}"] = module
        if name.startswith("perceptron"):
            sys.modules[f"hxtorch.{name.replace('perceptron', 'ann', 1)}"] = module
    emulator.__dict__.setdefault("ann", emulator.perceptron)
