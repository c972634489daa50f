"""Letting ``import hxtorch`` find the emulator."""

import importlib
import importlib.util
import pkgutil
import sys
from importlib.machinery import ModuleSpec
from pathlib import Path
from types import ModuleType
from typing import Final

from hxtorch_emulator.vision import allow_torchvision

_MODULES = ("perceptron", "perceptron.nn", "perceptron.constants", "perceptron.constants.defaults", "logger")

_SPAWNED: Final = Path(__file__).parent / "spawned"
_OURS: Final = frozenset({("hxtorch_emulator", "spawned"), ("programs", "spawned")})
"""Ends of the folders that are put in the module search path, here and by ``hxserve``."""


def find_genuine() -> ModuleSpec | None:
    """Return where a real hxtorch would be imported from; None if there is none."""
    found = importlib.util.find_spec("hxtorch")
    return None if found is None or _is_ours(Path(found.origin or "").parent) else found


def _is_ours(folder: Path) -> bool:
    return folder.parts[-2:] in _OURS


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
    if "hxtorch" in sys.modules or find_genuine() is not None:
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
    surround(importlib.import_module("hxtorch_emulator.notebook_setup"), _SPAWNED)


def surround(helpers: ModuleType, spawned: Path) -> None:
    """Provide what programs expect beside hxtorch.

    Args:
        helpers: the notebooks' ``_static.common.helpers``, also where there is a folder ``_static``.
        spawned: folder with the ``hxtorch.py`` for processes that the program spawns.
    """
    sys.path[:] = [*(place for place in sys.path if not _is_ours(Path(place))), str(spawned)]
    for name in ("_static", "_static.common"):
        package = ModuleType(name)
        package.__path__ = pkgutil.extend_path([], name)
        sys.modules[name] = package
    sys.modules["_static.common.helpers"] = helpers


def _name(module: ModuleType, name: str) -> None:
    """Let the classes and functions that ``module`` offers be pickled as those of the module ``name``."""
    for offered in getattr(module, "__all__", ()):
        value = getattr(module, offered)
        if not isinstance(value, ModuleType):
            value.__module__ = name
