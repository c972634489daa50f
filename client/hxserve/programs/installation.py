"""Letting `import hxtorch` mean the chip of a service."""

import importlib
import sys
from pathlib import Path

from hxserve.errors import SharedChipError
from hxserve.programs.remote_chip import RemoteChip
from hxtorch_emulator import connection, install
from hxtorch_emulator.installation import find_genuine, surround


def use_shared_chip(chip: RemoteChip | None = None) -> None:
    """Let `import hxtorch` and the notebooks' `_static.common.helpers` use the chip of a service, in this process.

    Nothing is asked of the service before `init_hardware` or one of the helpers is called. Calling it again without a
    chip changes nothing.

    Args:
        chip: by default one of the service that `hxserve` uses.

    Raises:
        SharedChipError: a genuine hxtorch is installed, which is never replaced.
        RuntimeError: another chip is open.
    """
    if chip is None and isinstance(connection.chosen_chip(), RemoteChip):
        return
    _refuse_genuine()
    connection.choose_chip(chip or RemoteChip())
    install()
    surround(importlib.import_module("hxserve.programs.notebook_setup"), Path(__file__).parent / "spawned")


def shared_chip() -> RemoteChip:
    """Return the chip that `use_shared_chip` chose.

    Raises:
        SharedChipError: it has not been called.
    """
    chip = connection.chosen_chip()
    if not isinstance(chip, RemoteChip):
        raise SharedChipError(
            "no shared chip is in use; run the program with `hxserve run`, or `import hxserve.hxtorch` before",
            "no_shared_chip",
        )
    return chip


def _refuse_genuine() -> None:
    """Refuse to hide a genuine hxtorch.

    Raises:
        SharedChipError: there is one.
    """
    loaded = sys.modules.get("hxtorch")
    if loaded is not None:
        is_genuine, place = loaded.__name__ != "hxtorch_emulator", getattr(loaded, "__file__", None)
    else:
        found = find_genuine()
        is_genuine, place = found is not None, found and found.origin
    if is_genuine:
        raise SharedChipError(
            f"hxtorch itself is installed here ({place}), and is not replaced; run the program with plain `python`, or "
            "install 'hxserve[hxtorch]' in an environment without it",
            "genuine_hxtorch",
        )
