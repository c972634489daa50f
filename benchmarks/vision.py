"""Import of torchvision, which some installations of CPU torch cannot import directly."""

import importlib
from types import ModuleType
from typing import Any

import torch

_missing_operators: list[Any] = []


def load_torchvision() -> ModuleType:
    """Import torchvision, also where its compiled operators do not fit the installed torch.

    The torchvision wheel of the package index is built for CUDA. Beside a CPU-only torch its compiled library
    does not load, and then `import torchvision` fails with "operator torchvision::nms does not exist",
    because it describes two operators to torch's tracer without looking whether they exist. Declaring both
    first, without an implementation, lets the import succeed; data sets and transforms use neither of them.
    Where torchvision is healthy nothing is declared, because the plain import is tried first.

    Returns:
        The module `torchvision`, with `datasets` and `transforms` imported.

    Source: torchvision/_meta_registrations.py (`register_fake("torchvision::nms")`), torchvision 0.24 to
    0.28.
    """
    try:
        return importlib.import_module("torchvision")
    except RuntimeError as error:
        if "torchvision::" not in str(error):
            raise
    _declare("nms", "(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")
    _declare("qnms", "(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")
    return importlib.import_module("torchvision")


def _declare(operator: str, signature: str) -> None:
    """Declare one operator of torchvision without an implementation, unless it exists."""
    if hasattr(torch.ops.torchvision, operator):
        return
    library = torch.library.Library("torchvision", "FRAGMENT")  # type: ignore[no-untyped-call] # torch types it so
    library.define(operator + signature)  # type: ignore[no-untyped-call] # torch types it so
    _missing_operators.append(library)  # a declaration lives as long as its library object
