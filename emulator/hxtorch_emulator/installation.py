"""Letting ``import hxtorch`` find the emulator."""

import importlib
import importlib.util
import pkgutil
import sys
from types import ModuleType

from hxtorch_emulator.vision import allow_torchvision

_MODULES = ("perceptron", "perceptron.nn", "perceptron.constants", "perceptron.constants.defaults", "logger")


def install() -> None:
    """Register the emulator as ``hxtorch``, with ``hxtorch.ann`` as the old name of ``hxtorch.perceptron``.

    What is pickled from then on, such as whole modules, names ``hxtorch`` too, so that a real one can read it.
    torchvision, which programs use beside, can be imported, and the notebooks' ``_static.common.helpers``. Calling it
    again changes nothing.

    Raises:
        RuntimeError: a real hxtorch is importable; it must never be hidden.
    """
    emulator = importlib.import_module("hxtorch_emulator")
    if sys.modules.get("hxtorch") is emulator:
        return
    if "hxtorch" in sys.modules or importlib.util.find_spec("hxtorch") is not None:
        raise RuntimeError("the real hxtorch is importable here; run the program without the emulator")
    sys.modules["hxtorch"] = emulator
    _name(emulator, "hxtorch")
    for name in _MODULES:
        module = importlib.import_module(f"hxtorch_emulator.{name}")
        sys.modules[f"hxtorch.{name}"] = module
        _name(module, f"hxtorch.{name}")
        if name.startswith("perceptron"):
            sys.modules[f"hxtorch.{name.replace('perceptron', 'ann', 1)}"] = module
    emulator.__dict__.setdefault("ann", emulator.perceptron)
    allow_torchvision()
    provide_helpers(importlib.import_module("hxtorch_emulator.notebook_setup"))


def provide_helpers(setup: ModuleType) -> None:
    """Let ``setup`` be the notebooks' ``_static.common.helpers``, also where there is a folder ``_static``."""
    for name in ("_static", "_static.common"):
        package = ModuleType(name)
        package.__path__ = pkgutil.extend_path([], name)
        sys.modules[name] = package
    sys.modules["_static.common.helpers"] = setup


def _name(module: ModuleType, name: str) -> None:
    """Let the classes and functions that ``module`` offers be pickled as those of the module ``name``."""
    for offered in getattr(module, "__all__", ()):
        value = getattr(module, offered)
        if not isinstance(value, ModuleType):
            value.__module__ = name
