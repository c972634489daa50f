"""Import of torchvision, which some installations of CPU torch cannot import directly."""

import importlib
import sys
from collections.abc import Sequence
from importlib.abc import MetaPathFinder
from types import ModuleType
from typing import Any, Final

import torch

_AFTER_THE_COMPILED_PART: Final = "torchvision._meta_registrations"
_OPERATORS: Final = ("nms", "qnms")
_missing_operators: list[Any] = []


class _Finder(MetaPathFinder):
    """Finds no module, but declares what is missing when torchvision is about to need it."""

    def find_spec(self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None) -> None:
        del path, target
        if fullname == _AFTER_THE_COMPILED_PART:
            for operator in _OPERATORS:
                _declare(operator)


_finder: Final = _Finder()


def allow_torchvision() -> None:
    """Let `import torchvision` succeed from now on, also where its compiled operators do not fit the installed torch.

    The torchvision wheel of the package index is built for CUDA. Beside a CPU-only torch its compiled library
    does not load, and then `import torchvision` fails with "operator torchvision::nms does not exist",
    because it describes two operators to torch's tracer without looking whether they exist. Declaring both
    first, without an implementation, lets the import succeed; data sets and transforms use neither of them.
    Where torchvision is healthy they exist by then, and nothing is declared.

    Source: torchvision/__init__.py and _meta_registrations.py (`register_fake("torchvision::nms")`), torchvision
    0.24 to 0.28.
    """
    if _finder not in sys.meta_path:
        sys.meta_path.insert(0, _finder)


def load_torchvision() -> Any:
    """Import torchvision as `allow_torchvision` makes it possible: the module, with `datasets` and `transforms`."""
    allow_torchvision()
    return importlib.import_module("torchvision")


def _declare(operator: str) -> None:
    """Declare one operator of torchvision without an implementation, unless it exists."""
    if hasattr(torch.ops.torchvision, operator):
        return
    library = torch.library.Library("torchvision", "FRAGMENT")  # type: ignore[no-untyped-call] # torch types it so
    library.define(f"{operator}(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")  # type: ignore[no-untyped-call] # torch types it so
    _missing_operators.append(library)  # a declaration lives as long as its library object
